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
    """Returns ``README.md``: the files of the kit, its memory use, and how to use it.

    Args:
        config: The model's configuration.
        model: The bytes of the TFLite model.
        context: Its context network, if it has one.
        arena: The tensor arena.
        operators: The names that `network.operators` returns.
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

Detects crying babies: from samples at 16 kHz to the same events as `yamnet-cry listen` on a computer.

| file in `src/` | content |
| --- | --- |
| `yamnet_cry.h` | the C API: front end, score, probability, events |
| `yamnet_cry_frontend.c` | YAMNet's log-mel front end, 10 ms at a time, quantised for the network |
{files}| `yamnet_cry_events.c` | from logits or log-odds to probabilities and events |
| `yamnet_cry_tables.h` | constants of the front end and of this model |
| `yamnet_cry_model.h`, `yamnet_cry_model.cc` | the network as an aligned array, and its threshold |
| `yamnet_cry_network.h`, `yamnet_cry_network.cc` | the network in TFLite-Micro, its operators and arena |
| `yamnet_cry_self_test.h`, `yamnet_cry_self_test.c` | the self-test; removed by the linker if unused |
| `yamnet_cry_golden.h` | its golden vectors |

| platform | files |
| --- | --- |
| ESP-IDF | `CMakeLists.txt`, `idf_component.yml`, `examples/self_test/` |
| Arduino, PlatformIO | `library.properties`, `library.json`, `keywords.txt`, `examples/SelfTest/` |
| ESPHome | `components/{NAME}/`, `components/example.yaml` |
| computer | `extras/host_test.c` |

The code uses no heap and depends only on libm (and TFLite-Micro for the network). Its licence is in
`LICENSE`; the network has the licence of its model.

## Memory

{memory}

{unmeasured}Operators: {", ".join(f"`Add{name}`" for name in operators)}.

## Test it

```sh
cc -std=c99 -Isrc src/*.c extras/host_test.c -lm && ./a.out
cc -std=c99 -DYAMNET_CRY_FIXED_POINT -Isrc src/*.c extras/host_test.c -lm && ./a.out
```

On the device, `examples/self_test` (ESP-IDF) and `examples/SelfTest` (Arduino) also test the network and
print `PASS`.

## ESP-IDF and C

Copy this folder to `components/{NAME}` of a project; `idf_component.yml` adds TFLite-Micro. In a task
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
        read_microphone(samples); /* your function: 160 samples, 16 kHz, 16 bit, mono */
        const int8_t *patch = yamnet_cry_frontend_push(&frontend, samples);
        if (patch == NULL || !{invoke.replace("output", output)}) continue;
        const double probability = yamnet_cry_probability({heard.replace("output", output)});
        if (yamnet_cry_events_push(&events, probability, &event)) report(event.start, event.end);
        if (events.active) light_on(); else light_off();
    }}
}}
```

Define `YAMNET_CRY_FIXED_POINT` for chips without a floating-point unit. To choose the threshold for a room
and its microphone, run `yamnet-cry calibrate` on a recording made with the device.

## Arduino and PlatformIO

Copy this folder to `libraries` in the sketchbook, or to `lib` in a PlatformIO project, and
install the library `{ARDUINO_MICRO}` (TFLite-Micro). A sketch must include that library's header first,
like `examples/SelfTest`; the C code is the same as above.

## ESPHome

`components/example.yaml` is a complete configuration for an ESP32-S3 and an I2S microphone: a binary sensor
that is on while a baby cries, and a sensor of the probability. The microphone must be set to 16 kHz. Keep
`components/{NAME}` in this folder: it is compiled with `src/`.

## Publish it

Name this folder `{NAME}`. Upload to ESP's registry with `compote component upload`; the example's
dependency then needs your namespace before its name. Arduino's registry needs the address of a repository:
replace `{NO_ADDRESS}` in `library.properties`.
"""


_UNMEASURED = (
    "If `AllocateTensors` fails, its error message contains the missing bytes; otherwise, "
    "`interpreter.arena_used_bytes()` returns the bytes needed. The golden vectors of the network are those "
    "of LiteRT's reference kernels, which differ from TFLite-Micro's by at most one step."
)


def _memory_of_context(context: Context) -> list[list[str]]:
    numbers = sum(
        layer.weights.size + 4 * (layer.multiplier.size + layer.bias.size) for layer in context.layers
    )
    return [
        ["context network", "flash", f"{numbers:,}"],
        ["`yamnet_cry_context`", "RAM", f"{state_bytes(context):,}"],
    ]
