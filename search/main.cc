// The program `rhnas`. All of it is in the library (search/program.cc), so that tests reach it.
#include <string>
#include <vector>

#include "search/command.h"

int main(int argc, char** argv) {
  return rhnas::search::RunProgram(std::vector<std::string>(argv + (argc > 0), argv + argc));
}
