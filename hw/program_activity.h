// What a program does, counted from its instructions: the activity that energy is made of.
//
// Every iteration of a multiply reads a micro-op, an input, a weight and an accumulator and writes
// an accumulator and an output; of a reset, reads a micro-op and writes an accumulator; of the ALU,
// reads a micro-op and an accumulator (two with two sources) and writes an accumulator and an
// output. Loads write what they bring and what they pad; DRAM bytes are those of the fields y_size
// and x_size (a bus wider than a row moves more, which costs time, not these bytes).
#pragma once

#include "hw/energy.h"
#include "hw/program.h"

namespace rhnas::hw {

Activity CountActivity(const Program& program);

}  // namespace rhnas::hw
