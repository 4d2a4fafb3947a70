// The constant parts of the C code that nn/c_export.h writes: kernels, header, the example
// programs, the Makefile. @name@ stands for the network's name, @NAME@ for the same in capitals;
// nn/c_export.cc has the other words.
#pragma once

namespace rhnas::nn::c_text {

// Kernels; a network gets those that it needs. All take a struct layer, which @name@.c declares.
extern const char kCommon[];  // struct layer, shift, clip
extern const char kImage[];   // bytes to integers
extern const char kConv[];    // convolution, dense; with a residual
extern const char kDepthwise[];
extern const char kMaxPool[];
extern const char kAvgPool[];
extern const char kAdd[];
extern const char kConcat[];
extern const char kShuffle[];
extern const char kSubsample[];
extern const char kClipMap[];

// The head of the C files.
extern const char kHead[];

// Whole files, their names and texts to be filled in.
struct File {
  const char* name;
  const char* text;
};
constexpr int kFileCount = 9;
extern const File kFiles[kFileCount];

}  // namespace rhnas::nn::c_text
