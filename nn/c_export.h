// A quantised network as C99 that needs nothing: weights as constant arrays, one static arena whose
// places nn/c_plan.h plans, no malloc, of libc string.h alone. It computes what nn/int_program.h
// does, bit for bit, on any machine (two's complement int8_t and int32_t, which C99 asks of them).
//
// Files, for the name "net":
//   net.h, net.c      net_run(image bytes H W C, logits), net_classify, sizes, exponent
//   net_weights.h     the arrays, included by net.c
//   net_check.h, main.c, Makefile   an example that checks itself on images of noise
//   cortex_m.c, cortex_m.ld         the same check for a bare Cortex-M, run by QEMU
//   README.md         how to build it, and the memory it needs
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/status.h"
#include "nn/c_code.h"
#include "nn/export_file.h"
#include "nn/quantize.h"

namespace rhnas::nn {

struct CExportOptions {
  std::string name;    // C identifier that all names begin with; empty: made from graph.name
  std::string origin;  // one line at the head of the files: who wrote them, from what
};

struct CReport {
  std::string name;
  // Flash: filters, biases, the table of image bytes, shapes of layers. Code comes on top: 2 to
  // 4 KB, by kernels used and compiler.
  CConstants constants;
  int64_t arena_bytes = 0;                    // static, in net.c
  int64_t image_bytes = 0, logits_bytes = 0;  // the caller's
  // All maps, were no place used twice; those alive at the worst step.
  int64_t unshared_bytes = 0, peak_bytes = 0;
  std::string peak_node;
  struct Map {
    std::string name;
    int64_t bytes = 0, offset = 0;  // in the arena
  };
  std::vector<Map> peak_maps;

  int64_t flash_bytes() const {
    return constants.filter_bytes + constants.bias_bytes + constants.table_bytes +
           constants.layer_bytes;
  }
  int64_t ram_bytes() const { return arena_bytes + image_bytes + logits_bytes; }
};

// Errors: a graph that CheckIntGraph refuses (sums that an image could drive over 32 bits among
// others), a name that is no identifier or a file's of the example, averages of millions of values.
engine::Result<std::vector<ExportFile>> ExportC(const IntGraph& graph,
                                                const CExportOptions& options, CReport* report);

}  // namespace rhnas::nn
