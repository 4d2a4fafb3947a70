// rhnas doctor: what this machine is, what the program will use of it, what stands in the way.
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "engine/archive.h"
#include "hw/json.h"
#include "search/command.h"
#include "search/doctor.h"
#include "search/report_text.h"
#include "search/version.h"

namespace rhnas::search {

using engine::Format;

namespace {

std::string Gib(int64_t bytes) {
  return bytes <= 0 ? "unknown" : Format("%.1f GiB", static_cast<double>(bytes) / (1 << 30));
}

// True: a file can be made where runs would go.
bool CanWriteHere() {
  const std::string path = Format(".rhnas-doctor-%d", static_cast<int>(getpid()));
  if (!engine::WriteFileAtomically(path, "").ok()) return false;
  std::error_code error;
  std::filesystem::remove(path, error);
  return true;
}

class DoctorCommand : public Command {
 public:
  const char* name() const override { return "doctor"; }
  const char* summary() const override {
    return "look at CPU, kernels, threads, memory, disk and data";
  }
  const char* usage() const override { return "[--data DIR...]"; }
  const char* notes() const override {
    return "Every kernel of every instruction set that this CPU runs is compared with plain loops; "
           "GFLOP/s\n"
           "count the operations of a direct 3x3 convolution, of which Winograd's form needs "
           "fewer.\n"
           "Data sets are looked for in --data, else in this folder, data/ and $RHNAS_DATA; that "
           "none is there "
           "is no fault:\n"
           "rhnas search begins on synthetic images. Exit code 1: something is wrong, and the line "
           "says what.\n"
           "JSON keys: version, commit, compiler, cpu, architecture, target, forced, kernels, "
           "threads, cpu_quota,\n"
           "memory_bytes, available_bytes, folder, writable, disk_free_bytes, data, problems.";
  }
  const char* examples() const override {
    return "  rhnas doctor\n"
           "  rhnas doctor --data /data/cifar /data/fashion-mnist --json";
  }
  void Declare(FlagSet* flags) override {
    flags->List("data", "DIR", &folders_, "folders to look for data sets in");
  }

  int Run(FlagSet* /*flags*/, const std::vector<std::string>& /*words*/,
          Console* console) override {
    const bool asked = !folders_.empty();
    if (!asked) {
      folders_ = {".", "data"};
      const char* set = std::getenv("RHNAS_DATA");
      if (set != nullptr && set[0] != '\0') folders_.push_back(set);
    }
    const Machine machine = LookAtMachine();
    const std::vector<KernelCheck> kernels = CheckKernels();
    std::vector<DataFound> data;
    std::vector<std::string> problems;
    std::error_code error;
    for (const std::string& folder : folders_) {
      const std::vector<DataFound> found = FindData(folder);
      data.insert(data.end(), found.begin(), found.end());
      if (asked && !std::filesystem::is_directory(folder, error)) {
        problems.push_back(folder + ": no such folder");
      } else if (asked && found.empty()) {
        problems.push_back(folder +
                           ": holds no data set that rhnas reads (cifar10, cifar100, "
                           "mnist, fashion-mnist), nor a folder of one");
      }
    }
    if (kernels.empty()) problems.push_back("the instruction set could not be chosen");
    for (const KernelCheck& check : kernels) {
      if (check.ok) continue;
      problems.push_back(
          Format("the %s kernels compute wrong (error %g): set RHNAS_TARGET to "
                 "another one, and report this CPU",
                 engine::TargetName(check.target), check.worst_error));
    }
    for (const DataFound& one : data) {
      if (!one.problem.empty()) problems.push_back(one.problem);
    }
    const bool writable = CanWriteHere();
    if (!writable) problems.push_back("this folder cannot be written: runs need --out elsewhere");
    const std::filesystem::space_info space = std::filesystem::space(".", error);
    const int64_t free = error ? -1 : static_cast<int64_t>(space.available);
    // A checkpoint of a CIFAR search is 30 MB, and three may stand side by side.
    if (free >= 0 && free < 100000000) {
      problems.push_back("less than 100 MB are free on this disk: checkpoints may not fit");
    }
    // A search of the half-width CIFAR space peaks at 0.64 GB (README).
    if (machine.available_bytes > 0 && machine.available_bytes < 300000000) {
      problems.push_back("less than 300 MB of memory are free: use a smaller --batch");
    }
    const char* forced = std::getenv("RHNAS_TARGET");
    const bool is_forced = forced != nullptr && forced[0] != '\0';
    const std::string here = std::filesystem::current_path(error).string();

    if (console->json()) {
      hw::JsonWriter json;
      json.BeginObject().Key("version").String(kVersion).Key("commit").String(kCommit);
      json.Key("compiler").String(CompilerName()).Key("cpu").String(machine.cpu);
      json.Key("architecture").String(machine.architecture);
      json.Key("target").String(engine::TargetName(engine::ActiveTarget()));
      json.Key("forced").Bool(is_forced).Key("kernels").BeginArray();
      for (const KernelCheck& check : kernels) {
        json.BeginObject().Key("target").String(engine::TargetName(check.target));
        json.Key("ok").Bool(check.ok).Key("worst_error").Double(check.worst_error);
        json.Key("gflops").Double(check.gflops).EndObject();
      }
      json.EndArray().Key("threads").Int(machine.threads);
      json.Key("cpu_quota").Double(machine.cpu_quota);
      json.Key("memory_bytes").Int(machine.memory_bytes);
      json.Key("available_bytes").Int(machine.available_bytes);
      json.Key("folder").String(here).Key("writable").Bool(writable);
      json.Key("disk_free_bytes").Int(free).Key("data").BeginArray();
      for (const DataFound& one : data) {
        json.BeginObject().Key("name").String(one.name).Key("folder").String(one.folder);
        json.Key("train_images").Int(one.train_images).Key("test_images").Int(one.test_images);
        json.Key("problem").String(one.problem).EndObject();
      }
      json.EndArray().Key("problems").BeginArray();
      for (const std::string& problem : problems) json.String(problem);
      json.EndArray().EndObject();
      console->Print(json.text() + "\n");
      return problems.empty() ? kExitOk : kExitFailure;
    }
    std::string text = Format("rhnas      %s%s%s%s, %s\n", kVersion, kCommit[0] == '\0' ? "" : " (",
                              kCommit, kCommit[0] == '\0' ? "" : ")", CompilerName());
    text += Format("cpu        %s, %s\n", machine.cpu.empty() ? "unknown" : machine.cpu.c_str(),
                   machine.architecture.c_str());
    for (const KernelCheck& check : kernels) {
      const bool active = check.target == engine::ActiveTarget();
      text += Format("%-10s %-9s %s, %.0f GFLOP/s on one thread%s\n",
                     &check == kernels.data() ? "kernels" : "", engine::TargetName(check.target),
                     check.ok ? "equal to plain loops" : "WRONG", check.gflops,
                     !active     ? ""
                     : is_forced ? "  <- chosen by RHNAS_TARGET"
                                 : "  <- chosen");
    }
    text += Format("threads    %d", machine.threads);
    if (machine.cpu_quota > 0) text += Format(" (this container may use %.1f)", machine.cpu_quota);
    text += Format("\nmemory     %s, %s available\n", Gib(machine.memory_bytes).c_str(),
                   Gib(machine.available_bytes).c_str());
    text += Format("folder     %s, %s, %s free on its disk\n", here.c_str(),
                   writable ? "can be written" : "CANNOT be written", Gib(free).c_str());
    for (const DataFound& one : data) {
      text += Format("%-10s %-13s %s: ", &one == data.data() ? "data" : "", one.name.c_str(),
                     one.folder.c_str());
      text += one.problem.empty() ? Grouped(one.train_images) + " training, " +
                                        Grouped(one.test_images) + " test images\n"
                                  : "cannot be read\n";
    }
    if (data.empty()) text += "data       none found: searches run on synthetic images\n";
    for (const std::string& problem : problems) text += "PROBLEM    " + problem + "\n";
    if (problems.empty()) text += "all is well\n";
    console->Print(text);
    return problems.empty() ? kExitOk : kExitFailure;
  }

 private:
  std::vector<std::string> folders_;
};

}  // namespace

std::unique_ptr<Command> MakeDoctorCommand() { return std::make_unique<DoctorCommand>(); }

}  // namespace rhnas::search
