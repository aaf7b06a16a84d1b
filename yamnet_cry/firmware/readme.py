"""The README of a firmware kit."""

from yamnet_cry.firmware.context import state_bytes
from yamnet_cry.firmware.manifests import ARDUINO_MICRO, NAME, NO_ADDRESS
from yamnet_cry.firmware.network import Arena
from yamnet_cry.firmware.tables import mel_shares
from yamnet_cry.frontend import YAMNET
from yamnet_cry.model.card import markdown_table
from yamnet_cry.model.config import ModelConfig
from yamnet_cry.model.context import Context

#: `yamnet_cry_frontend`: 30 ms of int16 samples, two counters, and the patch.
STATE_BYTES = 2 * 3 * YAMNET.frame_hop + 2 * 2 + YAMNET.patch_frames * YAMNET.mel_bands


def readme(
    config: ModelConfig, model: bytes, context: Context | None, arena: Arena, operators: list[str]
) -> str:
    """Returns ``README.md``: what is in the kit, what memory it takes, and how to use it.

    Args:
        config: The model's configuration.
        model: The bytes of the TFLite model.
        context: Its context network, if it has one.
        arena: The tensor arena.
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
            [
                f"tensor arena, {'measured' if arena.measured else 'not measured'}: {arena.kilobytes} KB",
                "RAM",
                f"{arena.kilobytes * 1024:,}",
            ],
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
    unmeasured = "" if arena.measured else f"{arena.origin} {_UNMEASURED}\n\n"
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

| in `src/` | what |
| --- | --- |
| `yamnet_cry.h` | everything to call from C: front end, score, probability, events |
| `yamnet_cry_frontend.c` | YAMNet's log-mel front end, 10 ms at a time, quantised for the network |
{files}| `yamnet_cry_events.c` | from logits or log-odds to probabilities and events |
| `yamnet_cry_tables.h` | numbers of the front end and of this model |
| `yamnet_cry_model.h`, `yamnet_cry_model.cc` | the network as an aligned array, and its threshold |
| `yamnet_cry_network.h`, `yamnet_cry_network.cc` | the network in TFLite-Micro, its operators and arena |
| `yamnet_cry_self_test.h`, `yamnet_cry_self_test.c` | the self-test; linkers drop it where nobody calls it |
| `yamnet_cry_golden.h` | its golden vectors |

| for | what |
| --- | --- |
| ESP-IDF | `CMakeLists.txt`, `idf_component.yml`, `examples/self_test/` |
| Arduino, PlatformIO | `library.properties`, `library.json`, `keywords.txt`, `examples/SelfTest/` |
| ESPHome | `components/{NAME}/`, `components/example.yaml` |
| a computer | `extras/host_test.c` |

No heap, no dependency but libm (and TFLite-Micro for the network). The code has the licence in `LICENSE`,
the network that of its model.

## Memory

{memory}

{unmeasured}Operators: {", ".join(f"`Add{name}`" for name in operators)}.

## Test it

```sh
cc -std=c99 -Isrc src/*.c extras/host_test.c -lm && ./a.out
cc -std=c99 -DYAMNET_CRY_FIXED_POINT -Isrc src/*.c extras/host_test.c -lm && ./a.out
```

On the device, `examples/self_test` (ESP-IDF) and `examples/SelfTest` (Arduino) test the network as well; read
`PASS`.

## ESP-IDF and C

Put this folder into `components/{NAME}` of a project; `idf_component.yml` brings TFLite-Micro. In a task
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

## Arduino and PlatformIO

Put this folder into the folder `libraries` of the sketchbook, or into `lib` of a PlatformIO project, and
install the library `{ARDUINO_MICRO}`, which is TFLite-Micro. A sketch includes that library's header first,
as `examples/SelfTest` does; the C code above is the same.

## ESPHome

`components/example.yaml` is a whole configuration for an ESP32-S3 and an I2S microphone: a binary sensor that
is on while a baby cries, and a sensor of the probability. The microphone has to give 16 kHz. Leave
`components/{NAME}` in this folder: it is compiled with `src/`.

## Publish it

Name this folder `{NAME}`. ESP's registry takes what `compote component upload` sends; the example's
dependency then needs your namespace before its name. Arduino's takes the address of a repository: write yours
for `{NO_ADDRESS}` in `library.properties`.
"""


_UNMEASURED = (
    "If `AllocateTensors` fails, it says how much is missing; if it does not, "
    "`interpreter.arena_used_bytes()` says how much is enough. The golden vectors of the network are those "
    "of LiteRT's reference kernels, from which TFLite-Micro's differ by a step at most."
)


def _memory_of_context(context: Context) -> list[list[str]]:
    numbers = sum(
        layer.weights.size + 4 * (layer.multiplier.size + layer.bias.size) for layer in context.layers
    )
    return [
        ["context network", "flash", f"{numbers:,}"],
        ["`yamnet_cry_context`", "RAM", f"{state_bytes(context):,}"],
    ]
