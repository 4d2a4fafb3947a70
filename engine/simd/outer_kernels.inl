// One target's table of filter gradient kernels; see engine/simd/outer_kernels.h and vec.h.

#include "engine/simd/outer.inl"

static const OuterKernels kTable = {
    kLanes,
    kHalfLanes,
    RHNAS_TILE_MAX_ROWS(MaxOuterRows),
    RHNAS_TILE_TABLE(OuterPanel),
};

#undef RHNAS_TILE_MAX_ROWS
#undef RHNAS_TILE_TABLE
