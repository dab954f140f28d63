// The contract between the executor and the operations.
//
// An Operation is a step of a program: it checks shapes and says what it wants of its inputs. For one set of shapes it
// is planned into a Task, which has chosen its algorithm, packed its constants and knows its scratch memory; a task is
// then run any number of times, on any thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/status.h"
#include "core/thread_pool.h"
#include "kernels/bfloat16.h"
#include "kernels/table.h"
#include "ops/attributes.h"
#include "ops/types.h"

namespace repconv {

// Types of a step's inputs (null where an optional one is absent) and outputs.
struct StepTypes {
  std::vector<const ValueType*> inputs;
  std::vector<const ValueType*> outputs;

  const ValueType* input(size_t index) const { return index < inputs.size() ? inputs[index] : nullptr; }
};

// The most inputs an operation names. A step may leave optional ones out at its end; a task finds null there.
inline constexpr size_t kMostInputs = 6;

// What a task may use while it runs.
struct RunContext {
  Team& team;
  const KernelTable& kernels;
  void* const* inputs;
  void* const* outputs;
  char* sharedScratch;
  char* memberScratch;
  size_t memberScratchBytes;
  // What the next step that has weights reads first of them, to be fetched on the way (RepVGG-A0, one image: 1.03 times
  // as fast on two threads, 1.01 on one; EPYC, Zen 5); null: nothing.
  const float* following = nullptr;

  const float* input(size_t index) const { return static_cast<const float*>(inputs[index]); }
  float* output(size_t index = 0) const { return static_cast<float*>(outputs[index]); }
  template <typename T>
  T* scratch(int member) const {
    return reinterpret_cast<T*>(memberScratch + static_cast<size_t>(member) * memberScratchBytes);
  }
};

// An algorithm that was weighed, and what it was estimated to cost: the least was taken.
struct Estimate {
  const char* algorithm;
  double cost;

  bool operator==(const Estimate&) const = default;
};

class Task {
 public:
  virtual ~Task() = default;
  virtual void run(const RunContext& context) const = 0;

  // Packed, in the order in which they are read; null where they do not matter.
  const float* packedWeights = nullptr;
  // Scratch per team member, and scratch all members share.
  size_t memberScratchBytes = 0;
  size_t sharedScratchBytes = 0;
  const char* algorithm = "";
  // The name of the kernels it runs, where those are not the table's.
  const char* kernel = "";
  // Why that algorithm: those that fitted, or nothing because somebody forced it, or there was no other.
  std::vector<Estimate> estimates;
  bool isForced = false;
  // Multiply-accumulates, for GFLOP/s.
  double macs = 0;
};

// What a session computes its convolutions in, where that is faster: fewer bits from left to right.
enum class Precision { float32, bfloat16x3, bfloat16 };

// What a task may ask for while it is planned.
struct PlanContext {
  const KernelTable& kernels;
  int threads = 1;
  // The types of this plan, and those with the session's largest batch. An algorithm is chosen by the latter alone, so
  // that an image's result never depends on its company.
  const StepTypes* types = nullptr;
  const StepTypes* largest = nullptr;
  // Where the images lie; meaningful for nhwc values only.
  std::vector<const Image*> inputImages = {};
  std::vector<const Image*> outputImages = {};
  // Data of inputs that are constants, else null.
  std::vector<const void*> constants = {};
  // A convolution algorithm to use wherever it fits.
  std::string forcedConv = {};
  // Memory that belongs to the session, made by the first plan that asks for `key` and shared by all later ones.
  std::function<Result<const void*>(const std::string& key, size_t sizeBytes, const std::function<void(void*)>& fill)>
      packed = {};
  // The kernels of a precision other than float32; null: none.
  Precision precision = Precision::float32;
  const Bfloat16Kernels* bfloat16 = nullptr;

  const float* constant(size_t index) const {
    return index < constants.size() ? static_cast<const float*>(constants[index]) : nullptr;
  }
};

class Operation {
 public:
  virtual ~Operation() = default;
  // Whether the types go together: the guard behind which everything trusts.
  virtual Status check(const StepTypes& types) const = 0;
  // Zeros wanted around nhwc input `index`. The context knows no images yet.
  virtual Border border(const PlanContext& /*context*/, size_t /*index*/) const { return {}; }
  // Whether nhwc input `index` may come with unrounded channels (layOut's isTight).
  virtual bool acceptsTight(size_t /*index*/) const { return false; }
  // Whether a constant input `index` is read while planning only, and not again by the task.
  virtual bool packs(size_t /*index*/) const { return false; }
  // Whether image n of the output depends on image n of the inputs alone, so that a batch may be computed in parts.
  virtual bool isPerImage() const { return false; }
  // Number formats of input `index`, and of the outputs: the reader of programs refuses all others.
  virtual bool reads(size_t /*index*/, DType dtype) const { return dtype == DType::float32; }
  virtual bool makes(DType dtype) const { return dtype == DType::float32; }
  // Whether the output may lie where input `index` lies, if nobody reads that afterwards.
  virtual bool isInPlace(size_t /*index*/) const { return false; }
  // Whether the nhwc output may have unrounded channels.
  virtual bool producesTight() const { return false; }
  // How nhwc input `index` is read: stored so, it gives the same result. The context knows no images yet.
  virtual Format readsAs(const PlanContext& /*context*/, size_t /*index*/) const { return Format::float32; }
  // Whether the nhwc output may be stored in a format other than float32.
  virtual bool storesRounded(const PlanContext& /*context*/) const { return false; }
  virtual Result<std::unique_ptr<Task>> plan(const PlanContext& context) const = 0;
};

using OperationFactory = Result<std::unique_ptr<Operation>> (*)(const Attributes& attributes);

// The operation of that name.
Result<std::unique_ptr<Operation>> makeOperation(const std::string& name, const Attributes& attributes);

}  // namespace repconv
