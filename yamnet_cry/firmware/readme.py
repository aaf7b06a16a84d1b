"""The README of a firmware kit."""

from yamnet_cry.firmware.context import state_bytes
from yamnet_cry.firmware.tables import mel_shares
from yamnet_cry.frontend import YAMNET
from yamnet_cry.model.card import markdown_table
from yamnet_cry.model.config import ModelConfig
from yamnet_cry.model.context import Context

#: `yamnet_cry_frontend`: 30 ms of int16 samples, two counters, and the patch.
STATE_BYTES = 2 * 3 * YAMNET.frame_hop + 2 * 2 + YAMNET.patch_frames * YAMNET.mel_bands


def readme(
    config: ModelConfig, model: bytes, context: Context | None, arena: int, operators: list[str]
) -> str:
    """Returns ``README.md``: what is in the kit, what memory it takes, and how to use it.

    Args:
        config: The model's configuration.
        model: The bytes of the TFLite model.
        context: Its context network, if it has one.
        arena: Measured tensor arena in kilobytes.
        operators: As `network.operators` names them.
    """
    bins = len(mel_shares()[1])
    tables = {"float": 129 * 4 + 201 * 4 + bins * 5, "fixed": 129 * 4 + 201 * 4 + bins * 3 + 65 * 4}
    memory = markdown_table(
        ["what", "where", "bytes"],
        [
            ["model", "flash", f"{len(model):,}"],
            ["tables of the front end, floating point", "flash", f"{tables['float']:,}"],
            ["tables of the front end, fixed point", "flash", f"{tables['fixed']:,}"],
            ["table of the score", "flash", "1,024"],
            [f"tensor arena, measured: {arena} KB", "RAM", f"{arena * 1024:,}"],
            [
                "`yamnet_cry_frontend`, with the patch of the network",
                "RAM",
                f"{STATE_BYTES:,}",
            ],
            *(_memory_of_context(context) if context is not None else []),
            ["`yamnet_cry_events`", "RAM", "about 350"],
            ["stack of `yamnet_cry_frontend_push`", "stack", "about 2,900"],
        ],
    )
    files = declared = state = reset = ""
    heard = "yamnet_cry_log_odds(yamnet_cry_score(output))"
    output, size = "logits", "YAMNET_CRY_CLASSES"
    invoke = "yamnet_cry_network_invoke(patch, output, NULL)"
    if context is not None:
        files = (
            "| `yamnet_cry_context.h`, `yamnet_cry_context.c`, `yamnet_cry_context_tables.h` "
            f"| the network that reads the last {context.windows} windows |\n"
        )
        declared = '#include "yamnet_cry_context.h"\n'
        state, reset = "static yamnet_cry_context context;\n", "    yamnet_cry_context_reset(&context);\n"
        heard = "yamnet_cry_context_push(&context, output)"
        output, size = "embedding", "YAMNET_CRY_EMBEDDING"
        invoke = "yamnet_cry_network_invoke(patch, NULL, output)"
    return f"""# yamnet-cry for microcontrollers, recipe `{config.recipe}`

Hears a baby cry: samples at 16 kHz in, events out, the same as `yamnet-cry listen` gives on a computer.

| file | what |
| --- | --- |
| `yamnet_cry.h` | everything to call from C: front end, score, probability, events |
| `yamnet_cry_frontend.c` | YAMNet's log-mel front end, 10 ms at a time, quantised for the network |
{files}| `yamnet_cry_events.c` | from logits or log-odds to probabilities and events |
| `yamnet_cry_tables.h` | numbers of the front end and of this model |
| `yamnet_cry_model.h`, `.cc` | the network as an aligned array, and its threshold |
| `yamnet_cry_network.h`, `.cc` | the network in TFLite-Micro: exact operators, measured arena |
| `yamnet_cry_golden.h`, `main.c` | golden vectors and the self-test; not needed in a product |
| `CMakeLists.txt`, `idf_component.yml` | an ESP-IDF component |

No heap, no dependency but libm (and TFLite-Micro for the network).

## Memory

{memory}

Operators: {", ".join(f"`Add{name}`" for name in operators)}.

## Test it

```sh
cc -std=c99 *.c -lm && ./a.out
cc -std=c99 -DYAMNET_CRY_FIXED_POINT *.c -lm && ./a.out
```

On the device, compile `main.c` in, define `YAMNET_CRY_SELFTEST_NETWORK` to test the network as well, and read
`PASS`.

## Use it in ESP-IDF

Put this folder into `components/yamnet_cry` of a project; `idf_component.yml` brings TFLite-Micro. In a task
with a stack of 8 KB:

```c
#include "yamnet_cry.h"
{declared}#include "yamnet_cry_model.h"
#include "yamnet_cry_network.h"

static yamnet_cry_frontend frontend;
{state}static yamnet_cry_events events;
static int8_t {output}[{size}];

void listen(void) {{
    int16_t samples[YAMNET_CRY_HOP];
    yamnet_cry_event event;
    yamnet_cry_frontend_reset(&frontend);
{reset}    yamnet_cry_events_reset(&events, YAMNET_CRY_THRESHOLD);
    for (;;) {{
        read_microphone(samples); /* yours: 160 samples, 16 kHz, 16 bit, mono */
        const int8_t *patch = yamnet_cry_frontend_push(&frontend, samples);
        if (patch == NULL || !{invoke.replace("output", output)}) continue;
        const double probability = yamnet_cry_probability({heard.replace("output", output)});
        if (yamnet_cry_events_push(&events, probability, &event)) report(event.start, event.end);
        if (events.active) light_on(); else light_off();
    }}
}}
```

Define `YAMNET_CRY_FIXED_POINT` for chips without a floating-point unit. The threshold belongs to the room and
its microphone: `yamnet-cry calibrate` on a recording made with the device gives one.
"""


def _memory_of_context(context: Context) -> list[list[str]]:
    numbers = sum(
        layer.weights.size + 4 * (layer.multiplier.size + layer.bias.size) for layer in context.layers
    )
    return [
        ["context network", "flash", f"{numbers:,}"],
        ["`yamnet_cry_context`", "RAM", f"{state_bytes(context):,}"],
    ]
