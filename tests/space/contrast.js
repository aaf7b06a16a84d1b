// Every visible text with its contrast against its background (WCAG 2.2, 1.4.3), lowest first.
() => {
  const context = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d", {
    willReadFrequently: true,
  });
  const parsed = (colour) => {
    context.clearRect(0, 0, 1, 1);
    context.fillStyle = colour;
    context.fillRect(0, 0, 1, 1);
    const [red, green, blue, alpha] = context.getImageData(0, 0, 1, 1).data;
    return [red, green, blue, alpha / 255];
  };
  const over = (upper, lower) => [0, 1, 2].map((i) => upper[i] * upper[3] + lower[i] * (1 - upper[3]));
  const luminance = (colour) => {
    const [red, green, blue] = colour.map((value) => {
      value /= 255;
      return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const found = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].filter((node) => node.nodeType === Node.TEXT_NODE);
    const text = own.map((node) => node.textContent).join(" ").trim() || (element.type === "number" && element.value);
    if (!text || !element.offsetParent || element.closest("svg")) continue;
    let behind = [255, 255, 255];
    let opacity = 1;
    const chain = [];
    for (let each = element; each; each = each.parentElement) chain.unshift(getComputedStyle(each));
    for (const style of chain) {
      behind = over(parsed(style.backgroundColor), behind);
      opacity *= style.opacity;
    }
    if (opacity === 0) continue;
    const colour = parsed(getComputedStyle(element).color);
    colour[3] *= opacity;
    const [low, high] = [luminance(over(colour, behind)), luminance(behind)].sort((a, b) => a - b);
    found.push([(high + 0.05) / (low + 0.05), text.slice(0, 60)]);
  }
  return found.sort((a, b) => a[0] - b[0]);
};
