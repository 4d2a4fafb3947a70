#include "nn/c_export_text.h"

namespace rhnas::nn::c_text {

const char kImage[] = R"(
static void read_image(const struct layer *p, const uint8_t *image, const int8_t (*table)[256],
                       int8_t *out) {
  const int32_t pixels = p->h * p->w;
  int32_t i, j;
  for (i = 0; i < pixels; ++i) {
    for (j = 0; j < p->c; ++j) *out++ = table[j][*image++];
  }
}
)";

const char kConv[] = R"(
#if defined(__ARM_FEATURE_DSP) && defined(__GNUC__) && !defined(__aarch64__)
#include <arm_acle.h>
#define TWO_PRODUCTS 1 /* an instruction: bytes 0 and 2, then 1 and 3 of a word as halves of one */

static int32_t load4(const int8_t *p) {
  int32_t v;
  memcpy(&v, p, sizeof v);
  return v;
}

static int32_t even(int32_t v) { return __sxtb16(v); }

static int32_t odd(int32_t v) {
  __asm__("sxtb16 %0, %1, ror #8" : "=r"(v) : "r"(v));
  return v;
}

#define LEAF __attribute__((noinline)) /* inside more loops its registers would not do */
#else
#define LEAF
#endif

/* sum[j] += x . w[j] for four rows of w, `step` apart. */
LEAF
static void dot4(const int8_t *x, const int8_t *w, int32_t step, int32_t n, int32_t *sum) {
  const int8_t *w1 = w + step, *w2 = w1 + step, *w3 = w2 + step;
  int32_t s0 = sum[0], s1 = sum[1], s2 = sum[2], s3 = sum[3];
  int32_t i = 0;
#ifdef TWO_PRODUCTS
  for (; i + 4 <= n; i += 4) {
    const int32_t v = load4(x + i), ve = even(v), vo = odd(v);
    int32_t f = load4(w + i);
    s0 = __smlad(vo, odd(f), __smlad(ve, even(f), s0));
    f = load4(w1 + i);
    s1 = __smlad(vo, odd(f), __smlad(ve, even(f), s1));
    f = load4(w2 + i);
    s2 = __smlad(vo, odd(f), __smlad(ve, even(f), s2));
    f = load4(w3 + i);
    s3 = __smlad(vo, odd(f), __smlad(ve, even(f), s3));
  }
#endif
  for (; i < n; ++i) {
    const int32_t v = x[i];
    s0 += v * w[i];
    s1 += v * w1[i];
    s2 += v * w2[i];
    s3 += v * w3[i];
  }
  sum[0] = s0;
  sum[1] = s1;
  sum[2] = s2;
  sum[3] = s3;
}

static int32_t dot1(const int8_t *x, const int8_t *w, int32_t n) {
  int32_t sum = 0, i;
  for (i = 0; i < n; ++i) sum += (int32_t)x[i] * w[i];
  return sum;
}

/* Convolutions and dense layers; where residual is not null it is added to the output. Rows come
   out in order, so the output may stand on rows of the input that are no longer read. */
static void conv(const struct layer *p, const int8_t *in, const int8_t *filter,
                 const int32_t *bias, const int8_t *residual, int8_t *out) {
  const int32_t depth = p->c / p->groups, width = p->k / p->groups;
  const int32_t size = p->r * p->s * depth; /* of a filter */
  int32_t y, x, group, k, j, r, s;
  for (y = 0; y < p->oh; ++y) {
    for (x = 0; x < p->ow; ++x) {
      const struct window t = window_at(p, y, x);
      for (group = 0; group < p->groups; ++group) {
        for (k = 0; k < width; k += 4) {
          const int32_t first = group * width + k, some = width - k < 4 ? width - k : 4;
          int32_t sum[4] = {0, 0, 0, 0};
          for (j = 0; j < some; ++j) sum[j] = bias[first + j];
          for (r = t.r0; r < t.r1; ++r) {
            /* Without groups the taps of a row are one run of bytes. */
            const int32_t run = p->groups == 1 ? (t.s1 - t.s0) * depth : depth;
            for (s = t.s0; s < t.s1; s += p->groups == 1 ? p->s : 1) {
              const int8_t *v = in + ((t.top + r) * p->w + t.left + s) * p->c + group * depth;
              const int8_t *f = filter + first * size + (r * p->s + s) * depth;
              if (some == 4) {
                dot4(v, f, size, run, sum);
              } else {
                for (j = 0; j < some; ++j) sum[j] += dot1(v, f + j * size, run);
              }
            }
          }
          for (j = 0; j < some; ++j) {
            int8_t value = clip(shift_right(sum[j], p->shift), p->low, p->high);
            if (residual) value = clip(value + *residual++, p->sum_low, p->sum_high);
            *out++ = value;
          }
        }
      }
    }
  }
}
)";

const char kDepthwise[] = R"(
/* Rows come out in order, as in conv. */
static void depthwise(const struct layer *p, const int8_t *in, const int8_t *filter,
                      const int32_t *bias, int8_t *out) {
  int32_t y, x, c, j, r, s;
  for (y = 0; y < p->oh; ++y) {
    for (x = 0; x < p->ow; ++x) {
      const struct window t = window_at(p, y, x);
      for (c = 0; c < p->c; c += 16) {
        const int32_t some = p->c - c < 16 ? p->c - c : 16;
        int32_t sum[16];
        for (j = 0; j < some; ++j) sum[j] = bias[c + j];
        for (r = t.r0; r < t.r1; ++r) {
          for (s = t.s0; s < t.s1; ++s) {
            const int8_t *v = in + ((t.top + r) * p->w + t.left + s) * p->c + c;
            const int8_t *f = filter + (r * p->s + s) * p->c + c;
            for (j = 0; j < some; ++j) sum[j] += (int32_t)v[j] * f[j];
          }
        }
        for (j = 0; j < some; ++j) {
          *out++ = clip(shift_right(sum[j], p->shift), p->low, p->high);
        }
      }
    }
  }
}
)";

const char kMaxPool[] = R"(
static void max_pool(const struct layer *p, const int8_t *in, int8_t *out) {
  int32_t y, x, c, r, s;
  for (y = 0; y < p->oh; ++y) {
    for (x = 0; x < p->ow; ++x) {
      const struct window t = window_at(p, y, x);
      for (c = 0; c < p->c; ++c) {
        int8_t most = -128;
        for (r = t.r0; r < t.r1; ++r) {
          for (s = t.s0; s < t.s1; ++s) {
            const int8_t v = in[((t.top + r) * p->w + t.left + s) * p->c + c];
            if (v > most) most = v;
          }
        }
        *out++ = clip(most, p->low, p->high);
      }
    }
  }
}
)";

const char kAvgPool[] = R"(
/* Taps outside the map count as zeros. */
static void avg_pool(const struct layer *p, const int8_t *in, int8_t *out) {
  int32_t y, x, c, r, s;
  for (y = 0; y < p->oh; ++y) {
    for (x = 0; x < p->ow; ++x) {
      const struct window t = window_at(p, y, x);
      for (c = 0; c < p->c; ++c) {
        int32_t sum = 0;
        for (r = t.r0; r < t.r1; ++r) {
          for (s = t.s0; s < t.s1; ++s) sum += in[((t.top + r) * p->w + t.left + s) * p->c + c];
        }
        *out++ = clip(shift_right(p->multiplier * sum, p->shift), p->low, p->high);
      }
    }
  }
}
)";

const char kAdd[] = R"(
/* Both inputs have the output's exponent; out may be one of them. */
static void add(const struct layer *p, const int8_t *a, const int8_t *b, int8_t *out) {
  const int32_t n = p->oh * p->ow * p->k;
  int32_t i;
  for (i = 0; i < n; ++i) out[i] = clip(a[i] + b[i], p->low, p->high);
}
)";

const char kConcat[] = R"(
/* One input of `channels`, from channel `at` of the output on. */
static void concat(const struct layer *p, const int8_t *in, int32_t channels, int32_t at,
                   int8_t *out) {
  const int32_t pixels = p->oh * p->ow;
  int32_t i;
  for (i = 0; i < pixels; ++i) {
    memcpy(out + i * p->k + at, in + i * channels, (size_t)channels);
  }
}
)";

const char kShuffle[] = R"(
static void shuffle(const struct layer *p, const int8_t *in, int8_t *out) {
  const int32_t pixels = p->oh * p->ow, depth = p->c / p->groups;
  int32_t i, j, group;
  for (i = 0; i < pixels; ++i) {
    for (j = 0; j < depth; ++j) {
      for (group = 0; group < p->groups; ++group) *out++ = in[i * p->c + group * depth + j];
    }
  }
}
)";

const char kSubsample[] = R"(
/* Every stride-th pixel, then channels of zeros. */
static void subsample(const struct layer *p, const int8_t *in, int8_t *out) {
  const int32_t some = p->c < p->k ? p->c : p->k;
  int32_t y, x;
  for (y = 0; y < p->oh; ++y) {
    for (x = 0; x < p->ow; ++x) {
      memcpy(out, in + (y * p->w + x) * p->stride * p->c, (size_t)some);
      memset(out + some, 0, (size_t)(p->k - some));
      out += p->k;
    }
  }
}
)";

const char kClipMap[] = R"(
static void clip_map(const struct layer *p, int8_t *out) {
  const int32_t n = p->oh * p->ow * p->k;
  int32_t i;
  for (i = 0; i < n; ++i) out[i] = clip(out[i], p->low, p->high);
}
)";

const char kHead[] = "/* @network@, int8. Written by @origin@. */";

namespace {

// ~x of a negative x is not negative, so nothing here is left to the implementation; compilers
// make one arithmetic shift of it.
const char kCode[] = R"(@head@
@include@ "@name@.h"

#include <string.h>

/* A layer: h x w x c -> oh x ow x k. All maps are rows of pixels of channels, all filters
   [k][r][s][c / groups], of depthwise layers [r][s][c]. */
struct layer {
  int32_t h, w, c, oh, ow, k;
  int32_t r, s, stride, pad, groups;
  int32_t shift, multiplier; /* averages: (multiplier * sum) >> shift */
  int32_t low, high;         /* clip of the output */
  int32_t sum_low, sum_high; /* clip after an addition to the output */
};

/* floor(x / 2^shift), in C99 for negative x too: one arithmetic shift. */
static int32_t shift_right(int32_t x, int32_t shift) {
  return x < 0 ? ~(~x >> shift) : x >> shift;
}

/* The window of an output: where it begins, and its rows and columns that lie inside the map. */
struct window {
  int32_t top, left, r0, r1, s0, s1;
};

static struct window window_at(const struct layer *p, int32_t y, int32_t x) {
  struct window t;
  t.top = y * p->stride - p->pad;
  t.left = x * p->stride - p->pad;
  t.r0 = t.top < 0 ? -t.top : 0;
  t.s0 = t.left < 0 ? -t.left : 0;
  t.r1 = t.top + p->r > p->h ? p->h - t.top : p->r;
  t.s1 = t.left + p->s > p->w ? p->w - t.left : p->s;
  return t;
}

static int8_t clip(int32_t x, int32_t low, int32_t high) {
  return (int8_t)(x < low ? low : x > high ? high : x);
}
@kernels@
@include@ "@name@_weights.h"

/* Maps share places: none is read after another was written over it. */
static int8_t arena[@NAME@_ARENA_BYTES];

void @name@_run(const uint8_t *image, int8_t *logits) {
@calls@}

int @name@_argmax(const int8_t *logits) {
  int i, best = 0;
  for (i = 1; i < @NAME@_LOGITS; ++i) {
    if (logits[i] > logits[best]) best = i;
  }
  return best;
}

int @name@_classify(const uint8_t *image) {
  int8_t logits[@NAME@_LOGITS];
  @name@_run(image, logits);
  return @name@_argmax(logits);
}
)";

const char kHeader[] = R"(@head@
#ifndef @NAME@_H
#define @NAME@_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define @NAME@_HEIGHT @height@
#define @NAME@_WIDTH @width@
#define @NAME@_CHANNELS @channels@
#define @NAME@_IMAGE_BYTES @image_bytes@
#define @NAME@_LOGITS @logits@
#define @NAME@_ARENA_BYTES @arena@
/* A logit is its integer times 2 to this power. */
#define @NAME@_EXPONENT (@exponent@)

/* image: @NAME@_IMAGE_BYTES bytes, rows of pixels of channels, as they come from a camera or file.
   logits: @NAME@_LOGITS integers. Uses one static arena: one call at a time. */
void @name@_run(const uint8_t *image, int8_t *logits);

/* The class with the largest logit, the first of equals. */
int @name@_argmax(const int8_t *logits);
int @name@_classify(const uint8_t *image);

#ifdef __cplusplus
}
#endif

#endif
)";

const char kWeights[] = "@head@\n@arrays@";

const char kCheck[] = R"(@head@
/* Images of noise, and the logits that rhnas computes for them. */
#include <stdint.h>

@include@ "@name@.h"

static void @name@_check_image(int number, uint8_t *image) {
  uint32_t state = (uint32_t)number + 1;
  int32_t i;
  for (i = 0; i < @NAME@_IMAGE_BYTES; ++i) {
    state = (state * 1664525u + 1013904223u) & 0xffffffffu;
    image[i] = (uint8_t)(state >> 24);
  }
}

#define @NAME@_CHECKS @checks@
static const int8_t @name@_check_logits[@NAME@_CHECKS][@NAME@_LOGITS] = {
@check_logits@};
)";

const char kReadme[] = R"(# @name@

@network@, int8. Written by @origin@.

```c
@include@ "@name@.h"
int label = @name@_classify(image); /* @NAME@_HEIGHT x @NAME@_WIDTH pixels of @NAME@_CHANNELS bytes */
```

`@name@.c`, `@name@.h` and `@name@_weights.h` are all of it: C99, no malloc, of libc only memcpy and memset. Sums
cannot overflow, whatever the image. `make` builds the example and checks it on images of noise; `make cortex-m4`
builds the same check for a bare Cortex-M4, `make qemu-m4` runs it on an emulated board (also m3, m7).

| memory | bytes |
|---|---|
| flash: filters | @filters@ |
| flash: biases | @biases@ |
| flash: table of image bytes | @table@ |
| flash: shapes of layers | @layers@ |
| RAM: arena | @arena@ |
| RAM of the caller: image | @image_bytes@ |
| RAM of the caller: logits | @logits@ |

Code adds 2 to 4 KB of flash, the stack needs 0.5 KB. Most maps are alive in @peak@: @peak_bytes@ bytes; an output
may stand on rows of its input that are no longer read.
)";

const char kMain[] = R"(/* Example and check of @name@.

     @name@             runs images of noise and compares with what rhnas computed
     @name@ FILE...     classifies images: each file @NAME@_HEIGHT x @NAME@_WIDTH pixels of
                     @NAME@_CHANNELS bytes, nothing else */
#include <stdio.h>
#include <string.h>

@include@ "@name@.h"
@include@ "@name@_check.h"

static uint8_t image[@NAME@_IMAGE_BYTES];
static int8_t logits[@NAME@_LOGITS];

static void print_logits(void) {
  int i;
  for (i = 0; i < @NAME@_LOGITS; ++i) printf("%s%d", i ? " " : "", logits[i]);
  printf("\n");
}

int main(int argc, char **argv) {
  int i, bad = 0;
  for (i = 1; i < argc; ++i) {
    FILE *file = fopen(argv[i], "rb");
    size_t bytes = file ? fread(image, 1, sizeof image, file) : 0;
    const int longer = file && fgetc(file) != EOF;
    if (file) fclose(file);
    if (bytes != sizeof image || longer) {
      fprintf(stderr, "%s: %s, expected %lu bytes\n", argv[i],
              !file ? "cannot be read" : longer ? "found more" : "found fewer",
              (unsigned long)sizeof image);
      return 1;
    }
    @name@_run(image, logits);
    printf("%s: class %d, logits ", argv[i], @name@_argmax(logits));
    print_logits();
  }
  if (argc > 1) return 0;
  for (i = 0; i < @NAME@_CHECKS; ++i) {
    @name@_check_image(i, image);
    @name@_run(image, logits);
    printf("check %d: logits ", i + 1);
    print_logits();
    if (memcmp(logits, @name@_check_logits[i], sizeof logits) != 0) bad = 1;
  }
  printf(bad ? "FAILED: other logits than rhnas computed\n" : "ok: the logits that rhnas computed\n");
  return bad;
}
)";

const char kCortexM[] =
    R"(/* The check of @name@ on a bare Cortex-M: vectors, start, and messages through Arm semihosting
   (developer.arm.com, "Semihosting for AArch32 and AArch64"), which QEMU and debug probes serve. On
   a board of yours: put its memories into cortex_m.ld. */
#include <stdint.h>
#include <string.h>

@include@ "@name@.h"
@include@ "@name@_check.h"

extern uint32_t stack_top, data_load, data_start, data_end, bss_start, bss_end;

static uint8_t image[@NAME@_IMAGE_BYTES];
static int8_t logits[@NAME@_LOGITS];
static volatile uint32_t wraps; /* of the timer */

static void semihost(uint32_t call, const void *argument) {
  register uint32_t r0 __asm__("r0") = call;
  register const void *r1 __asm__("r1") = argument;
  __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
}

static void print(const char *text) { semihost(0x04, text); /* SYS_WRITE0 */ }

static void print_number(uint32_t value) {
  char text[11];
  char *at = text + sizeof text - 1;
  *at = 0;
  do {
    *--at = (char)('0' + value % 10);
    value /= 10;
  } while (value);
  print(at);
}

static void leave(uint32_t code) {
  const uint32_t block[2] = {0x20026, code}; /* ADP_Stopped_ApplicationExit */
  semihost(0x20, block);                     /* SYS_EXIT_EXTENDED */
  for (;;) {
  }
}

/* SysTick counts the processor's clock down in 24 bits. */
#define SYST_CSR (*(volatile uint32_t *)0xe000e010)
#define SYST_RVR (*(volatile uint32_t *)0xe000e014)
#define SYST_CVR (*(volatile uint32_t *)0xe000e018)

static void count_wrap(void) { ++wraps; }

static void start_timer(void) {
  SYST_CSR = 0;
  SYST_RVR = 0xffffff;
  SYST_CVR = 0;
  wraps = 0;
  SYST_CSR = 7; /* processor clock, interrupt, on */
}

/* In units of 256 ticks, which do not wrap soon. */
static uint32_t stop_timer(void) {
  const uint32_t left = SYST_CVR;
  SYST_CSR = 0;
  return (wraps << 16) + ((0xffffff - left) >> 8);
}

static void start(void) {
  int i, j, bad = 0;
  memcpy(&data_start, &data_load, (size_t)((char *)&data_end - (char *)&data_start));
  memset(&bss_start, 0, (size_t)((char *)&bss_end - (char *)&bss_start));
  for (i = 0; i < @NAME@_CHECKS; ++i) {
    uint32_t time;
    @name@_check_image(i, image);
    start_timer();
    @name@_run(image, logits);
    time = stop_timer();
    print("check ");
    print_number((uint32_t)i + 1);
    print(": ");
    print_number(time);
    print(" x 256 ticks, logits");
    for (j = 0; j < @NAME@_LOGITS; ++j) {
      print(logits[j] < 0 ? " -" : " ");
      print_number((uint32_t)(logits[j] < 0 ? -logits[j] : logits[j]));
    }
    print("\n");
    if (memcmp(logits, @name@_check_logits[i], sizeof logits) != 0) bad = 1;
  }
  print(bad ? "FAILED: other logits than rhnas computed\n" : "ok: the logits that rhnas computed\n");
  leave((uint32_t)bad);
}

static void fault(void) {
  print("FAILED: a fault of the processor\n");
  leave(2);
}

#define FAULTS fault, fault, fault, fault, fault
struct vectors {
  uint32_t *stack;
  void (*entry[15])(void);
};
__attribute__((section(".vectors"), used)) const struct vectors vectors = {
    &stack_top, {start, FAULTS, FAULTS, fault, fault, fault, count_wrap}};
)";

const char kLinkScript[] =
    R"(/* Memories of QEMU's mps2-an385, -an386 and -an500; put in those of your board. */
MEMORY {
  FLASH (rx) : ORIGIN = 0x00000000, LENGTH = 4M
  RAM (rwx) : ORIGIN = 0x20000000, LENGTH = 4M
}
ENTRY(vectors)
stack_top = ORIGIN(RAM) + LENGTH(RAM);
SECTIONS {
  .text : { KEEP(*(.vectors)) *(.text*) *(.rodata*) . = ALIGN(4); } > FLASH
  .data : { . = ALIGN(4); data_start = .; *(.data*) . = ALIGN(4); data_end = .; } > RAM AT > FLASH
  data_load = LOADADDR(.data);
  .bss (NOLOAD) : { . = ALIGN(4); bss_start = .; *(.bss*) *(COMMON) . = ALIGN(4); bss_end = .; } > RAM
}
)";

const char kMakefile[] = R"(# make             the example for this machine, and its check
# make cortex-m4   the check for a bare Cortex-M4 (or cortex-m3, -m7), with its size
# make qemu-m4     runs it on an emulated board (or qemu-m3, qemu-m7)
CC ?= cc
CFLAGS ?= -O3
WARN = -std=c99 -Wall -Wextra -pedantic -Wconversion -Wshadow
ARM ?= arm-none-eabi-
ARM_CFLAGS ?= -O2 -mthumb
QEMU ?= qemu-system-arm
BOARD_m3 = mps2-an385
BOARD_m4 = mps2-an386
BOARD_m7 = mps2-an500
DEPS = @name@.c @name@.h @name@_weights.h @name@_check.h

check: @name@
	./@name@

@name@: main.c $(DEPS)
	$(CC) $(WARN) $(CFLAGS) -o $@ main.c @name@.c

cortex-m%: cortex_m.c cortex_m.ld $(DEPS)
	$(ARM)gcc $(WARN) $(ARM_CFLAGS) -mcpu=$@ -c -o @name@-m$*.o @name@.c
	$(ARM)gcc $(WARN) $(ARM_CFLAGS) -mcpu=$@ -nostartfiles -T cortex_m.ld -o $@ cortex_m.c @name@-m$*.o
	$(ARM)size @name@-m$*.o $@

# -icount: an instruction is a nanosecond, a tick of the board's 25 MHz so is 40 instructions.
qemu-m%: cortex-m%
	$(QEMU) -M $(BOARD_m$*) -nographic -monitor none -serial none -icount shift=0 \
	  -semihosting-config enable=on,target=native -kernel $<

clean:
	rm -f @name@ @name@-m*.o cortex-m3 cortex-m4 cortex-m7

.PRECIOUS: cortex-m%
.PHONY: check clean
)";

}  // namespace

const File kFiles[kFileCount] = {
    {"@name@.h", kHeader},        {"@name@.c", kCode},     {"@name@_weights.h", kWeights},
    {"@name@_check.h", kCheck},   {"main.c", kMain},       {"cortex_m.c", kCortexM},
    {"cortex_m.ld", kLinkScript}, {"Makefile", kMakefile}, {"README.md", kReadme}};

}  // namespace rhnas::nn::c_text
