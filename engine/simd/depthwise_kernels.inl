// One target's table of depthwise kernels; see engine/simd/depthwise_kernels.h and vec.h.

#include "engine/simd/depthwise.inl"
#include "engine/simd/depthwise_back.inl"
#include "engine/simd/depthwise_filter.inl"

static const DepthwiseKernels kTable = {
    {{nullptr, nullptr, nullptr},
     {nullptr, DepthwiseRow<1, 1>, nullptr},
     {nullptr, DepthwiseRow<2, 1>, nullptr},
     {nullptr, DepthwiseRow<3, 1>, DepthwiseRow<3, 2>},
     {nullptr, DepthwiseRow<4, 1>, nullptr},
     {nullptr, DepthwiseRow<5, 1>, DepthwiseRow<5, 2>},
     {nullptr, nullptr, nullptr},
     {nullptr, nullptr, nullptr}},
    {{nullptr, nullptr, nullptr},
     {nullptr, DepthwiseBandKernel<1, 1>, nullptr},
     {nullptr, DepthwiseBandKernel<2, 1>, nullptr},
     {nullptr, DepthwiseBandKernel<3, 1>, DepthwiseBandKernel<3, 2>},
     {nullptr, DepthwiseBandKernel<4, 1>, nullptr},
     {nullptr, DepthwiseBandKernel<5, 1>, DepthwiseBandKernel<5, 2>},
     {nullptr, nullptr, nullptr},
     {nullptr, DepthwiseBandKernel<7, 1>, nullptr}},
    {nullptr, nullptr, nullptr, DepthwiseSpread<3>, nullptr, DepthwiseSpread<5>, nullptr, nullptr},
    {{nullptr, nullptr, nullptr},
     {nullptr, DepthwiseFilter<1, 1>, nullptr},
     {nullptr, nullptr, nullptr},
     {nullptr, DepthwiseFilter<3, 1>, DepthwiseFilter<3, 2>},
     {nullptr, nullptr, nullptr},
     {nullptr, DepthwiseFilter<5, 1>, DepthwiseFilter<5, 2>},
     {nullptr, nullptr, nullptr},
     {nullptr, nullptr, nullptr}},
};
