// rhnas eval on a trained run: float and int8, the file that exports take, misuse.
#include "tests/program_cli.h"

namespace rhnas {
namespace {

class ProgramEval : public Cli {};

const hw::Json* At(const hw::Json& json, const char* part, const char* key) {
  const hw::Json* object = json.Find(part);
  EXPECT_NE(object, nullptr) << part;
  const hw::Json* value = object == nullptr ? nullptr : object->Find(key);
  EXPECT_NE(value, nullptr) << part << "." << key;
  return value;
}

TEST_F(ProgramEval, FloatAndInt8) {
  const Outcome trained =
      Run({"train", "--network", "tiny@w0.25:k3_e3,k3_e1_g2,k3_e3,k5_e1,k3_e3,k3_e3", "--epochs",
           "3", "--train-size", "768", "--test-size", "256", "--threads", "2", "--out", "run"});
  ASSERT_EQ(trained.code, 0) << trained.err;
  const hw::Json result = ParseOrFail(ReadAll(dir_ + "/run/result.json"));

  const Outcome plain = Run({"eval", "run", "--json"});
  ASSERT_EQ(plain.code, 0) << plain.err;
  const hw::Json floats = ParseOrFail(plain.out);
  EXPECT_EQ(floats.Find("int8"), nullptr);
  EXPECT_DOUBLE_EQ(At(floats, "float", "accuracy")->number, result.Find("accuracy")->number);
  EXPECT_FALSE(fs::exists(dir_ + "/run/int8.weights"));

  const Outcome first = Run({"eval", "run", "--int8", "--calibration", "64", "--json"});
  ASSERT_EQ(first.code, 0) << first.err;
  const hw::Json made = ParseOrFail(first.out);
  EXPECT_LT(At(made, "int8", "loss_points")->number, 3);
  EXPECT_GT(At(made, "int8", "agreement")->number, 0.93);
  EXPECT_EQ(At(made, "int8", "calibration")->integer_value, 64);
  EXPECT_FALSE(At(made, "int8", "from_file")->boolean);
  ASSERT_TRUE(fs::exists(dir_ + "/run/int8.weights"));

  // Read again, on other threads: the same answers.
  const Outcome second = Run({"eval", "run", "--int8", "--threads", "1", "--layers", "--json"});
  ASSERT_EQ(second.code, 0) << second.err;
  const hw::Json read = ParseOrFail(second.out);
  EXPECT_TRUE(At(read, "int8", "from_file")->boolean);
  EXPECT_EQ(At(read, "int8", "correct")->integer_value, At(made, "int8", "correct")->integer_value);
  ASSERT_NE(read.Find("layers"), nullptr);
  EXPECT_GT(read.Find("layers")->items.size(), 10u);

  const Outcome tuned = Run({"eval", "run", "--int8", "--finetune-epochs", "1", "--json"});
  ASSERT_EQ(tuned.code, 0) << tuned.err;
  EXPECT_NE(tuned.err.find("fine-tuning"), std::string::npos) << tuned.err;
  EXPECT_LT(At(ParseOrFail(tuned.out), "int8", "loss_points")->number, 3);

  // Another training's integers are not taken for this one's.
  ASSERT_EQ(Run({"train", "--network", "tiny@w0.25:k3_e3,k3_e1_g2,k3_e3,k5_e1,k3_e3,k3_e3",
                 "--epochs", "1", "--train-size", "128", "--test-size", "64", "--out", "other"})
                .code,
            0);
  fs::copy_file(dir_ + "/run/int8.weights", dir_ + "/other/int8.weights");
  const Outcome other = Run({"eval", "other", "--int8", "--json"});
  ASSERT_EQ(other.code, 0) << other.err;
  EXPECT_FALSE(At(ParseOrFail(other.out), "int8", "from_file")->boolean);

  std::ofstream(dir_ + "/run/int8.weights") << "no";
  const Outcome damaged = Run({"eval", "run", "--int8"});
  EXPECT_EQ(damaged.code, 0) << "the file before it stands beside it: " << damaged.err;
  fs::remove(dir_ + "/run/int8.weights.prev");
  const Outcome refused = Run({"eval", "run", "--int8"});
  EXPECT_EQ(refused.code, 1);
  EXPECT_NE(refused.err.find("--fresh"), std::string::npos) << refused.err;
  EXPECT_EQ(Run({"eval", "run", "--int8", "--fresh"}).code, 0);
}

TEST_F(ProgramEval, Misuse) {
  EXPECT_EQ(Run({"eval"}).code, 2);
  EXPECT_EQ(Run({"eval", "a", "b"}).code, 2);
  EXPECT_EQ(Run({"eval", "run", "--layers"}).code, 2);
  EXPECT_EQ(Run({"eval", "run", "--finetune-epochs", "1"}).code, 2);
  const Outcome missing = Run({"eval", "nowhere"});
  EXPECT_EQ(missing.code, 1);
  EXPECT_NE(missing.err.find("nowhere"), std::string::npos) << missing.err;
}

}  // namespace
}  // namespace rhnas
