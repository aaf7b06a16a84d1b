"""The README of a firmware kit."""

from yamnet_cry.firmware.tables import mel_shares
from yamnet_cry.frontend import YAMNET
from yamnet_cry.model.card import markdown_table
from yamnet_cry.model.config import ModelConfig

#: `yamnet_cry_frontend`: 30 ms of int16 samples, two counters, and the patch.
STATE_BYTES = 2 * 3 * YAMNET.frame_hop + 2 * 2 + YAMNET.patch_frames * YAMNET.mel_bands


def readme(config: ModelConfig, model: bytes, arena: int, operators: list[str]) -> str:
    """Returns ``README.md``: what is in the kit, what memory it takes, and how to use it.

    Args:
        config: The model's configuration.
        model: The bytes of the TFLite model.
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
            ["`yamnet_cry_events`", "RAM", "about 350"],
            ["stack of `yamnet_cry_frontend_push`", "stack", "about 2,900"],
        ],
    )
    return f"""# yamnet-cry for microcontrollers, recipe `{config.recipe}`

Hears a baby cry: samples at 16 kHz in, events out, the same as `yamnet-cry listen` gives on a computer.

| file | what |
| --- | --- |
| `yamnet_cry.h` | everything to call from C: front end, score, probability, events |
| `yamnet_cry_frontend.c` | YAMNet's log-mel front end, 10 ms at a time, quantised for the network |
| `yamnet_cry_events.c` | from logits to events |
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
cc -std=c99 main.c yamnet_cry_frontend.c yamnet_cry_events.c -lm && ./a.out
cc -std=c99 -DYAMNET_CRY_FIXED_POINT main.c yamnet_cry_frontend.c yamnet_cry_events.c -lm && ./a.out
```

On the device, compile `main.c` in, define `YAMNET_CRY_SELFTEST_NETWORK` to test the network as well, and read
`PASS`.

## Use it in ESP-IDF

Put this folder into `components/yamnet_cry` of a project; `idf_component.yml` brings TFLite-Micro. In a task
with a stack of 8 KB:

```c
#include "yamnet_cry.h"
#include "yamnet_cry_model.h"
#include "yamnet_cry_network.h"

static yamnet_cry_frontend frontend;
static yamnet_cry_events events;
static int8_t logits[YAMNET_CRY_CLASSES];

void listen(void) {{
    int16_t samples[YAMNET_CRY_HOP];
    yamnet_cry_event event;
    yamnet_cry_frontend_reset(&frontend);
    yamnet_cry_events_reset(&events, YAMNET_CRY_THRESHOLD);
    for (;;) {{
        read_microphone(samples); /* yours: 160 samples, 16 kHz, 16 bit, mono */
        const int8_t *patch = yamnet_cry_frontend_push(&frontend, samples);
        if (patch == NULL || !yamnet_cry_network_invoke(patch, logits)) continue;
        const double probability = yamnet_cry_probability(yamnet_cry_score(logits));
        if (yamnet_cry_events_push(&events, probability, &event)) report(event.start, event.end);
        if (events.active) light_on(); else light_off();
    }}
}}
```

Define `YAMNET_CRY_FIXED_POINT` for chips without a floating-point unit. The threshold belongs to the room and
its microphone: `yamnet-cry calibrate` on a recording made with the device gives one.
"""
