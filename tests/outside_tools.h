// Programs of others that files are tried with, where they are installed: Python with numpy and
// onnx (python3-numpy, python3-onnx), node with onnxruntime-node. RHNAS_PYTHON names the Python
// (/usr/bin/python3), RHNAS_ONNXRUNTIME the folder of onnxruntime-node where NODE_PATH does not
// lead to it.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace rhnas {

inline std::string Variable(const char* name, const char* fallback) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : fallback;
}

// Exit code and what was written. `words` are quoted for the shell.
struct ToolRun {
  int code = -1;
  std::string text;
};

inline ToolRun RunTool(const std::vector<std::string>& words) {
  static int number = 0;
  const std::string log = ::testing::TempDir() + "rhnas_tool_" + std::to_string(getpid()) + "_" +
                          std::to_string(number++) + ".log";
  std::string command;
  for (const std::string& word : words) command += "'" + word + "' ";
  ToolRun run;
  run.code = std::system((command + ">'" + log + "' 2>&1").c_str());
  std::ifstream file(log);
  std::stringstream text;
  text << file.rdbuf();
  run.text = text.str();
  std::filesystem::remove(log);
  return run;
}

inline std::string Python() { return Variable("RHNAS_PYTHON", "/usr/bin/python3"); }
inline bool HavePython(const std::string& modules) {
  return RunTool({Python(), "-c", "import " + modules}).code == 0;
}
inline bool HaveOnnxRuntime() {
  static const bool have =
      RunTool({"node", "-e", "require(process.env.RHNAS_ONNXRUNTIME || \"onnxruntime-node\")"})
          .code == 0;
  return have;
}
#define RHNAS_NEED_PYTHON(modules)                      \
  if (!HavePython(modules))                             \
  GTEST_SKIP() << Python()                              \
               << " with " modules                      \
                  " is not installed (apt-get install " \
                  "python3-numpy python3-onnx), or set RHNAS_PYTHON"
#define RHNAS_NEED_ONNXRUNTIME()                                              \
  if (!HaveOnnxRuntime())                                                     \
  GTEST_SKIP() << "node with onnxruntime-node is not installed (npm install " \
                  "onnxruntime-node), or set RHNAS_ONNXRUNTIME to its folder"

// A folder of the test's own, removed with it.
class ToolFolder {
 public:
  ToolFolder() {
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    path_ = ::testing::TempDir() + "rhnas_" + test->name() + "_" + std::to_string(getpid());
    std::filesystem::create_directories(path_);
  }
  ~ToolFolder() { std::filesystem::remove_all(path_); }
  std::string File(const std::string& name) const { return path_ + "/" + name; }
  std::string Write(const std::string& name, const void* data, size_t bytes) const {
    const std::filesystem::path path = File(name);
    std::filesystem::create_directories(path.parent_path());
    std::ofstream file(path, std::ios::binary);
    file.write(static_cast<const char*>(data), static_cast<std::streamsize>(bytes));
    return path.string();
  }
  std::string Write(const std::string& name, const std::string& bytes) const {
    return Write(name, bytes.data(), bytes.size());
  }
  template <typename T>
  std::vector<T> ReadValues(const std::string& name) const {
    std::ifstream file(File(name), std::ios::binary);
    std::stringstream text;
    text << file.rdbuf();
    const std::string bytes = text.str();
    std::vector<T> values(bytes.size() / sizeof(T));
    if (!values.empty()) std::memcpy(values.data(), bytes.data(), values.size() * sizeof(T));
    return values;
  }

 private:
  std::string path_;
};

// Logits of an ONNX model on `count` images [n,h,w,c] of channels last, through ONNX Runtime.
inline std::vector<float> RunOnnx(const ToolFolder& folder, const std::string& model, int h, int w,
                                  int c, const std::vector<float>& images, int batch) {
  const size_t pixels = static_cast<size_t>(h) * static_cast<size_t>(w);
  const size_t channels = static_cast<size_t>(c), size = pixels * channels;
  std::vector<float> planes(images.size());
  for (size_t i = 0; i < images.size(); ++i) {
    const size_t in = i % size;
    planes[i - in + in % channels * pixels + in / channels] = images[i];
  }
  const std::string input =
      folder.Write("images.f32", planes.data(), planes.size() * sizeof(float));
  const std::string path = folder.Write("model.onnx", model);
  std::filesystem::remove(folder.File("logits.f32"));
  const ToolRun run = RunTool({"node", "tests/tools/onnx_run.js", path, input,
                               folder.File("logits.f32"), std::to_string(batch)});
  EXPECT_EQ(run.code, 0) << run.text;
  return folder.ReadValues<float>("logits.f32");
}

}  // namespace rhnas
