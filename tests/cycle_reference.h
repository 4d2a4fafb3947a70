// The simulator's naive twin: every register of fetch, VME, memory, loads and stores stepped cycle
// by cycle, as the state machines of apache/tvm-vta @d4a15f6 (hardware/chisel) do. Slow, and shares
// nothing with hw/simulate.cc but the instructions. Current units only, no pipe parameters.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <vector>

#include "hw/config.h"
#include "hw/isa.h"
#include "hw/timing.h"

namespace rhnas::hw {

class CycleReference {
 public:
  CycleReference(const Config& config, MemoryModel memory, const std::vector<Instruction>& program)
      : config_(config), memory_model_(memory), program_(program) {
    max_ = config.max_burst_length > 0 ? config.max_burst_length : 1 << config.dpi_len_bits;
    for (int i = 0; i < 16; ++i) free_tag_[i] = true;
  }

  int64_t read_beats = 0, write_beats = 0;
  int64_t busy[3] = {0, 0, 0};

  // The cycle in which FINISH executes, -1 if that does not happen within `limit` cycles.
  int64_t Run(int64_t limit) {
    for (cycle_ = 0; cycle_ < limit; ++cycle_) {
      if (Step() && finish_ < 0) finish_ = cycle_;
      // What was started goes on after FINISH.
      if (finish_ >= 0 && unit_[0].queue.empty() && unit_[2].queue.empty()) return finish_;
    }
    return -1;
  }

 private:
  enum { kFetchClient, kUopClient, kInpClient, kWgtClient, kAccClient, kClients };

  struct Command {
    bool valid = false;
    int beats = 0;
  };
  struct Request {
    int client, tag, beats;
    int64_t accepted;
  };
  // GenVMECmd and GenVMECmdWide: rows cut into bursts.
  struct Generator {
    bool done = true;
    int64_t address = 0, stride = 0, bytes = 0;
    int rows = 0, wait_rows = 0;
    std::vector<int> bursts;
    size_t at = 0;
    void Cut(int64_t bus, int64_t max) {
      bursts.clear();
      at = 0;
      int64_t word = address / bus;
      const int64_t end = (address + bytes + bus - 1) / bus;
      while (word < end) {
        const int64_t to = std::min(end, (word / max + 1) * max);
        bursts.push_back(static_cast<int>(to - word));
        word = to;
      }
    }
  };
  struct Loader {
    bool busy = false, narrow = false;
    int client = 0;
    Generator generator;
    int64_t in_flight = 0;
    bool fire = false;            // the extra register of narrow loads
    std::deque<char> pad;         // 'p': a padded element, 's': a row passed over
    std::deque<char> pad_staged;  // narrow loads stage the start
    bool pad_starts = false;
  };
  struct UnitState {
    std::deque<const Instruction*> queue;
    bool executing = false, sync = false;
    int64_t left = 0;  // of GEMM and ALU
    int tokens_prev = 0, tokens_next = 0;
  };

  bool Step() {
    const int64_t bus = config_.bus_bytes();
    // What the registers hold at the beginning of this cycle.
    const bool r_valid = beats_left_ > 0, r_last = beats_left_ == 1;
    const Request serving = serving_;
    const int data_client = seen_client_;  // one register after the bus
    bool cmd_ready[kClients];
    for (int i = 0; i < kClients; ++i) cmd_ready[i] = !command_[i].valid;
    if (r_valid) ++read_beats;

    // --- VME: one request of the first client ---
    int selected = -1;
    for (int i = kClients - 1; i >= 0; --i) {
      if (command_[i].valid) selected = i;
    }
    int tag = -1;
    for (int i = 15; i >= 0; --i) {
      if (free_tag_[i]) tag = i;
    }
    const bool ask = selected >= 0 && tag >= 0 && !(r_valid && r_last);

    // --- Clients offer commands, take data ---
    Command offered[kClients];
    int posts[3][2] = {};
    bool finished = false;
    const size_t size_before[3] = {unit_[0].queue.size(), unit_[1].queue.size(),
                                   unit_[2].queue.size()};
    StepFetch(bus, cmd_ready[kFetchClient], data_client == kFetchClient, &offered[kFetchClient]);
    for (int u = 0; u < 3; ++u) {
      StepUnit(u, size_before[u], bus, cmd_ready, data_client, offered, posts, &finished);
    }

    // --- Memory ---
    const bool free = beats_left_ <= 1;
    bool taken = false;
    if (!requests_.empty() && free &&
        (memory_model_ == MemoryModel::kQueued
             ? counter_ == config_.dpi_delay
             : requests_.front().accepted + config_.dpi_delay <= cycle_)) {
      taken = true;
    }
    if (requests_.empty()) {
      counter_ = 0;
    } else if (counter_ < config_.dpi_delay) {
      ++counter_;
    }

    // --- Clock edge ---
    seen_client_ = r_valid ? serving.client : -1;
    if (r_valid) --beats_left_;
    if (r_valid && r_last) free_tag_[serving.tag] = true;
    if (taken) {
      serving_ = requests_.front();
      requests_.pop_front();
      beats_left_ = serving_.beats;
    }
    if (ask) {
      requests_.push_back({selected, tag, command_[selected].beats, cycle_});
      free_tag_[tag] = false;
      command_[selected].valid = false;
    }
    for (int i = 0; i < kClients; ++i) {
      if (offered[i].valid) command_[i] = offered[i];
    }
    unit_[1].tokens_prev += posts[0][1];
    unit_[0].tokens_next += posts[1][0];
    unit_[2].tokens_prev += posts[1][1];
    unit_[1].tokens_next += posts[2][0];
    return finished;
  }

  // --- Fetch64Bit and FetchWideVME ---
  void StepFetch(int64_t bus, bool ready, bool data, Command* offered) {
    const bool wide = bus >= 16;
    const int64_t group =
        wide ? int64_t{1} << config_.dpi_len_bits : int64_t{1} << (config_.dpi_len_bits - 1);
    if (data) --fetch_left_;
    switch (fetch_state_) {
      case 0:  // launch
        fetch_state_ = 1;
        break;
      case 1: {  // command
        group_ = std::min<int64_t>(group, static_cast<int64_t>(program_.size()) - fetched_);
        if (group_ == 0) break;
        const int64_t beats = (group_ * 16 + bus - 1) / bus;
        if (fetch_cut_.empty()) {
          // Only the wide fetch asks through the capped generator.
          const int64_t max = wide ? max_ : beats;
          for (int64_t b = 0; b < beats; b += max) {
            fetch_cut_.push_back(static_cast<int>(std::min<int64_t>(max, beats - b)));
          }
          fetch_left_ = beats;
        }
        if (ready) {
          *offered = {true, fetch_cut_.front()};
          fetch_cut_.pop_front();
          if (fetch_cut_.empty()) fetch_state_ = 2;
        }
        break;
      }
      case 2:  // the last data; wide: one register, a counter, and an empty state after it
        if (fetch_left_ == 0) {
          fetch_state_ = 3;
          fetch_wait_ = wide ? 3 : 0;
        }
        break;
      case 3:
        if (fetch_wait_ > 0) {
          --fetch_wait_;
          break;
        }
        if (group_ > 0) {
          const Instruction& i = program_[static_cast<size_t>(fetched_)];
          UnitState& unit = unit_[static_cast<int>(UnitOf(i))];
          // The queue's count is a register: what leaves now makes room in the next cycle.
          if (unit.queue.size() < 512) {
            arriving_ = &i;
            ++fetched_;
            --group_;
          }
          break;
        }
        fetch_state_ = 1;
        break;
    }
  }

  Loader* LoaderOf(int u) { return &loader_[u]; }

  void StepUnit(int u, size_t, int64_t bus, const bool* cmd_ready, int data_client,
                Command* offered, int posts[3][2], bool* finished) {
    UnitState& unit = unit_[u];
    Loader& loader = loader_[u];
    const Instruction* head = unit.queue.empty() ? nullptr : unit.queue.front();
    // An instruction that arrives in this cycle is seen in the next.
    if (arriving_ != nullptr && static_cast<int>(UnitOf(*arriving_)) == u) {
      unit.queue.push_back(arriving_);
      arriving_ = nullptr;
    }
    if (unit.executing) {
      ++busy[u];
      bool done = false;
      if (unit.sync || head->op == Opcode::kFinish) {
        done = true;
        *finished = *finished || head->op == Opcode::kFinish;
      } else if (head->op == Opcode::kLoad) {
        done = StepLoad(&loader, bus, cmd_ready, data_client, offered);
      } else if (head->op == Opcode::kStore) {
        done = StepStore(bus);
      } else {
        done = --unit.left == 0;
      }
      if (done) {
        unit.executing = false;
        posts[u][0] += head->push_prev;
        posts[u][1] += head->push_next;
        unit.queue.pop_front();
      }
      return;
    }
    if (head == nullptr || (head->pop_prev && unit.tokens_prev == 0) ||
        (head->pop_next && unit.tokens_next == 0)) {
      return;
    }
    unit.tokens_prev -= head->pop_prev;
    unit.tokens_next -= head->pop_next;
    unit.executing = true;
    unit.sync = head->op == Opcode::kLoad && head->x_size == 0;
    if (unit.sync) return;
    if (head->op == Opcode::kLoad) StartLoad(*head, &loader);
    if (head->op == Opcode::kStore) StartStore(*head, bus);
    if (head->op == Opcode::kGemm) unit.left = 6 + head->iterations();
    if (head->op == Opcode::kAlu) unit.left = 6 + head->iterations() * (head->use_imm ? 1 : 2);
  }

  // --- TensorLoadNarrowVME and TensorLoadWideVME ---
  void StartLoad(const Instruction& i, Loader* l) {
    const int64_t bits[4] = {config_.uop_bits(), config_.wgt_elem_bits(), config_.inp_elem_bits(),
                             config_.acc_elem_bits()};
    const int clients[4] = {kUopClient, kWgtClient, kInpClient, kAccClient};
    const int m = static_cast<int>(i.memory);
    const int64_t element = bits[m] / 8;
    l->busy = true;
    l->narrow = bits[m] > config_.bus_bits;
    l->client = clients[m];
    l->in_flight = 0;
    l->fire = false;
    Generator& g = l->generator;
    g.done = false;
    g.address = i.dram * element;
    g.stride = i.x_stride * element;
    g.bytes = i.x_size * element;
    g.rows = i.y_size;
    g.wait_rows = i.y_pad_0;
    g.Cut(config_.bus_bytes(), max_);
    std::deque<char> pad;
    const int width = i.x_size + i.x_pad_0 + i.x_pad_1, sides = i.x_pad_0 + i.x_pad_1;
    for (int k = 0; k < i.y_pad_0 * width; ++k) pad.push_back('p');
    for (int k = 0; k < i.y_size * sides; ++k) pad.push_back('p');
    if (sides == 0 && i.y_pad_1 > 0) pad.insert(pad.end(), i.y_size, 's');
    for (int k = 0; k < i.y_pad_1 * width; ++k) pad.push_back('p');
    l->pad.clear();
    l->pad_staged.clear();
    if (l->narrow) {
      l->pad_staged = pad;
      l->pad_starts = true;
    } else {
      l->pad = pad;
    }
  }

  bool StepLoad(Loader* l, int64_t bus, const bool* cmd_ready, int data_client, Command* offered) {
    Generator& g = l->generator;
    const bool done = g.done && l->in_flight == 0 && l->pad.empty() && !l->pad_starts;
    const bool data = data_client == l->client;
    const bool write = l->narrow ? l->fire : data;
    // Padding, in cycles without a write.
    if (!l->pad.empty() && (l->pad.front() == 's' || !write)) l->pad.pop_front();
    if (l->pad_starts) {
      l->pad = l->pad_staged;
      l->pad_starts = false;
    }
    if (write) --l->in_flight;
    l->fire = data;
    if (!g.done) {
      if (g.wait_rows > 0) {
        --g.wait_rows;
      } else if (cmd_ready[l->client]) {
        offered[l->client] = {true, g.bursts[g.at]};
        l->in_flight += g.bursts[g.at];
        if (++g.at == g.bursts.size()) {
          g.address += g.stride;
          if (--g.rows == 0) {
            g.done = true;
          } else {
            g.Cut(bus, max_);
          }
        }
      }
    }
    return done;
  }

  // --- TensorStoreNarrowVME and TensorStoreWideVME with VME's and the memory's write states ---
  void StartStore(const Instruction& i, int64_t bus) {
    const int64_t element = config_.out_elem_bits() / 8;
    const bool narrow = config_.out_elem_bits() > config_.bus_bits;
    const int64_t max = narrow ? int64_t{1} << config_.dpi_len_bits : max_;
    store_.clear();
    for (int y = 0; y < i.y_size; ++y) {
      Generator g;
      g.address = (i.dram + int64_t{i.x_stride} * y) * element;
      g.bytes = i.x_size * element;
      g.Cut(bus, max);
      for (const int beats : g.bursts) {
        write_beats += beats;
        store_.push_back('c');                    // sWriteCmd
        store_.insert(store_.end(), {'a', 'w'});  // write address: the memory goes to writeAddress
        const int64_t words = narrow ? config_.block_out() / bus : beats;
        for (int b = 0; b < beats; ++b) {
          store_.push_back('d');
          if ((b + 1) % words == 0 && b + 1 < beats) store_.push_back('m');  // sReadMem
        }
        store_.push_back('b');  // response
      }
    }
  }
  bool StepStore(int64_t) {
    store_.pop_front();
    return store_.empty();
  }

  const Config config_;
  const MemoryModel memory_model_;
  const std::vector<Instruction>& program_;
  int64_t max_ = 0, cycle_ = 0, finish_ = -1;
  bool free_tag_[16];
  Command command_[kClients];
  std::deque<Request> requests_;
  Request serving_ = {-1, -1, 0, 0};
  int64_t beats_left_ = 0;
  int counter_ = 0, seen_client_ = -1;
  int fetch_state_ = 0;
  int64_t fetch_left_ = 0, fetched_ = 0, group_ = 0, fetch_wait_ = 0;
  std::deque<int> fetch_cut_;
  const Instruction* arriving_ = nullptr;
  UnitState unit_[3];
  Loader loader_[3];
  std::deque<char> store_;
};

}  // namespace rhnas::hw
