// The arithmetic of folding, in float64: scale channels, place taps, contract channels. (What may be folded is decided
// in lib/reparam; the plain twin of each step is lib/reparam/arithmetic.ts.) Kernels are [O, I, T]: output channels,
// input channels per group, taps. Where a step says so, they are stored in float32: weights are read as they are, and a
// result that is to be rounded is rounded as it is stored, once. Folding a batch norm is then one pass over memory.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <limits>

#include "ops/operation.h"

namespace repconv {
namespace {

const double* kernelAt(const RunContext& context, size_t input) {
  return static_cast<const double*>(context.inputs[input]);
}

bool isStored(const ValueType* type) {
  return type != nullptr && type->layout == Layout::plain && type->shape.size() == 3 &&
         (type->dtype == DType::float64 || type->dtype == DType::float32);
}

bool isKernel(const ValueType* type) { return isStored(type) && type->dtype == DType::float64; }

// Calls body with the numbers as what they are.
template <typename Body>
void asStored(DType dtype, const void* data, const Body& body) {
  if (dtype == DType::float32) {
    body(static_cast<const float*>(data));
  } else {
    body(static_cast<const double*>(data));
  }
}
template <typename Body>
void asStored(DType dtype, void* data, const Body& body) {
  if (dtype == DType::float32) {
    body(static_cast<float*>(data));
  } else {
    body(static_cast<double*>(data));
  }
}

// Work for one thread: rows of a kernel, a few at a time.
template <typename Body>
void forOutputs(Team& team, int64_t outputs, const Body& body) {
  const int64_t items = std::min<int64_t>(outputs, 64);
  team.parallelFor(static_cast<size_t>(items), [&](size_t item, int) {
    const int64_t index = static_cast<int64_t>(item);
    for (int64_t o = outputs * index / items; o < outputs * (index + 1) / items; o++) body(o);
  });
}

template <typename Attribute>
class FusionTask : public Task {
 public:
  FusionTask(const StepTypes& types, Attribute attribute) : attribute_(std::move(attribute)) {
    for (const ValueType* input : types.inputs) inputs_.push_back(input != nullptr ? *input : ValueType{});
    output_ = *types.outputs[0];
  }
  void run(const RunContext& context) const override { attribute_.run(context, inputs_, output_); }

 private:
  Attribute attribute_;
  std::vector<ValueType> inputs_;
  ValueType output_;
};

template <typename Attribute>
class FusionOperation : public Operation {
 public:
  explicit FusionOperation(Attribute attribute) : attribute_(std::move(attribute)) {}
  Status check(const StepTypes& types) const override {
    const bool isRight = types.outputs.size() == 1 && isStored(types.outputs[0]) && attribute_.fits(types);
    return isRight ? Status() : failure(Code::shape, "%s: kernels do not go together", Attribute::kName);
  }
  // Which of the two, `fits` says.
  bool reads(size_t, DType dtype) const override { return dtype != DType::uint8; }
  bool makes(DType dtype) const override { return dtype != DType::uint8; }
  Result<std::unique_ptr<Task>> plan(const PlanContext& context) const override {
    return std::unique_ptr<Task>(new FusionTask<Attribute>(*context.types, attribute_));
  }

 private:
  Attribute attribute_;
};

// scaleChannels: out[o, i, t] = kernel[o, i, t] · factors[o], or · factors[g(o)·I + i] over the input channels. Kernel
// and out stored in either format.
struct ScaleChannels {
  static constexpr const char* kName = "scaleChannels";
  int isInput = 0;
  int groups = 1;

  bool fits(const StepTypes& types) const {
    const ValueType *kernel = types.input(0), *factors = types.input(1);
    if (!isStored(kernel) || factors == nullptr || factors->dtype != DType::float64 ||
        kernel->shape != types.outputs[0]->shape || kernel->shape[0] % groups != 0)
      return false;
    return factors->shape == std::vector<int64_t>{isInput ? kernel->shape[1] * groups : kernel->shape[0]};
  }

  void run(const RunContext& context, const std::vector<ValueType>& inputs, const ValueType& output) const {
    const int64_t O = output.shape[0], I = output.shape[1], T = output.shape[2];
    const double* factors = kernelAt(context, 1);
    asStored(inputs[0].dtype, static_cast<const void*>(context.inputs[0]), [&](const auto* kernel) {
      asStored(output.dtype, context.outputs[0], [&](auto* out) {
        forOutputs(context.team, O, [&](int64_t o) {
          const auto* from = kernel + o * I * T;
          auto* to = out + o * I * T;
          if (!isInput) return scale(from, factors[o], I * T, to);
          for (int64_t i = 0; i < I; i++) scale(from + i * T, factors[o / (O / groups) * I + i], T, to + i * T);
        });
      });
    });
  }

 private:
  template <typename From, typename To>
  static void scale(const From* from, double factor, int64_t size, To* to) {
    for (int64_t i = 0; i < size; i++) to[i] = static_cast<To>(static_cast<double>(from[i]) * factor);
  }
};

// placeTaps: out = base + kernel with tap t at taps[t], and its groups spread over fewer, larger ones. The kernel
// stored in either format.
struct PlaceTaps {
  static constexpr const char* kName = "placeTaps";
  std::vector<int64_t> taps;
  int kernelGroups = 1;
  int groups = 1;

  bool fits(const StepTypes& types) const {
    const ValueType *base = types.input(0), *kernel = types.input(1), *out = types.outputs[0];
    if (!isStored(kernel) || !isKernel(out) || (base != nullptr && (!isKernel(base) || base->shape != out->shape)))
      return false;
    if (kernel->shape[0] != out->shape[0] || kernelGroups % groups != 0 || out->shape[0] % kernelGroups != 0)
      return false;
    if (kernel->shape[1] * kernelGroups != out->shape[1] * groups ||
        taps.size() != static_cast<size_t>(kernel->shape[2]))
      return false;
    return std::all_of(taps.begin(), taps.end(), [&](int64_t t) { return t < out->shape[2]; });
  }

  void run(const RunContext& context, const std::vector<ValueType>& inputs, const ValueType& output) const {
    const int64_t O = output.shape[0], I = output.shape[1], T = output.shape[2], J = inputs[1].shape[1],
                  S = inputs[1].shape[2];
    const double* base = kernelAt(context, 0);
    double* out = static_cast<double*>(context.outputs[0]);
    asStored(inputs[1].dtype, static_cast<const void*>(context.inputs[1]), [&](const auto* kernel) {
      forOutputs(context.team, O, [&](int64_t o) {
        double* row = out + o * I * T;
        const size_t rowBytes = static_cast<size_t>(I * T) * sizeof(double);
        if (base != nullptr) {
          std::memcpy(row, base + o * I * T, rowBytes);
        } else {
          std::memset(row, 0, rowBytes);
        }
        // The kernel's group of this output begins at this input channel of the target's group.
        const int64_t first = o / (O / kernelGroups) * J - o / (O / groups) * I;
        for (int64_t j = 0; j < J; j++) {
          for (int64_t s = 0; s < S; s++)
            row[(first + j) * T + taps[static_cast<size_t>(s)]] += static_cast<double>(kernel[(o * J + j) * S + s]);
        }
      });
    });
  }
};

// contractChannels: out[o, i, t, s] = Σ_m second[o, m, t] · first[g(o)·M + m, i, s], both with the same groups; the two
// taps as one axis.
struct ContractChannels {
  static constexpr const char* kName = "contractChannels";
  int groups = 1;

  bool fits(const StepTypes& types) const {
    const ValueType *second = types.input(0), *first = types.input(1), *out = types.outputs[0];
    if (!isKernel(second) || !isKernel(first) || !isKernel(out)) return false;
    return second->shape[0] % groups == 0 && second->shape[1] * groups == first->shape[0] &&
           out->shape[0] == second->shape[0] && out->shape[1] == first->shape[1] &&
           out->shape[2] == second->shape[2] * first->shape[2];
  }

  void run(const RunContext& context, const std::vector<ValueType>& inputs, const ValueType&) const {
    const int64_t O = inputs[0].shape[0], M = inputs[0].shape[1], T = inputs[0].shape[2], I = inputs[1].shape[1],
                  S = inputs[1].shape[2];
    const double *second = kernelAt(context, 0), *first = kernelAt(context, 1);
    double* out = static_cast<double*>(context.outputs[0]);
    forOutputs(context.team, O, [&](int64_t o) {
      double* row = out + o * I * T * S;
      std::memset(row, 0, static_cast<size_t>(I * T * S) * sizeof(double));
      const int64_t group = o / (O / groups);
      for (int64_t m = 0; m < M; m++) {
        const double* from = first + (group * M + m) * I * S;
        const double* factors = second + (o * M + m) * T;
        // Along whichever axis is long: all of a first kernel times one tap, or all taps times one element.
        if (T == 1) {
          context.kernels.axpy64(row, from, factors[0], static_cast<size_t>(I * S));
        } else {
          for (int64_t i = 0; i < I; i++) {
            for (int64_t s = 0; s < S; s++) {
              for (int64_t t = 0; t < T; t++) row[(i * T + t) * S + s] += factors[t] * from[i * S + s];
            }
          }
        }
      }
    });
  }
};

// isFinite: 1 if every number of the kernel, stored in either format, is finite, else 0.
struct IsFinite {
  static constexpr const char* kName = "isFinite";

  bool fits(const StepTypes& types) const {
    return isStored(types.input(0)) && isKernel(types.outputs[0]) && types.outputs[0]->size() == 1;
  }

  void run(const RunContext& context, const std::vector<ValueType>& inputs, const ValueType&) const {
    std::atomic<bool> isAll{true};
    asStored(inputs[0].dtype, static_cast<const void*>(context.inputs[0]), [&](const auto* kernel) {
      const int64_t size = inputs[0].shape[1] * inputs[0].shape[2];
      forOutputs(context.team, inputs[0].shape[0], [&](int64_t o) {
        if (!isFinite(kernel + o * size, size)) isAll.store(false, std::memory_order_relaxed);
      });
    });
    *static_cast<double*>(context.outputs[0]) = isAll.load(std::memory_order_relaxed) ? 1 : 0;
  }

 private:
  // Without a way out of the loop, which would keep it from being vectorized.
  template <typename T>
  static bool isFinite(const T* numbers, int64_t size) {
    int others = 0;
    for (int64_t i = 0; i < size; i++) others |= !(std::abs(numbers[i]) <= std::numeric_limits<T>::max());
    return others == 0;
  }
};

}  // namespace

Result<std::unique_ptr<Operation>> makeScaleChannels(const Attributes& attributes) {
  ScaleChannels scale;
  for (const Status& status :
       {attributes.integers("input", 1, 0, &scale.isInput), attributes.integers("groups", 1, 1, &scale.groups)}) {
    if (!status.isOk()) return status;
  }
  return std::unique_ptr<Operation>(new FusionOperation<ScaleChannels>(scale));
}

Result<std::unique_ptr<Operation>> makePlaceTaps(const Attributes& attributes) {
  PlaceTaps place;
  for (const Status& status :
       {attributes.list("taps", 0, &place.taps), attributes.integers("kernelGroups", 1, 1, &place.kernelGroups),
        attributes.integers("groups", 1, 1, &place.groups)}) {
    if (!status.isOk()) return status;
  }
  return std::unique_ptr<Operation>(new FusionOperation<PlaceTaps>(std::move(place)));
}

Result<std::unique_ptr<Operation>> makeContractChannels(const Attributes& attributes) {
  ContractChannels contract;
  if (Status status = attributes.integers("groups", 1, 1, &contract.groups); !status.isOk()) return status;
  return std::unique_ptr<Operation>(new FusionOperation<ContractChannels>(contract));
}

Result<std::unique_ptr<Operation>> makeIsFinite(const Attributes&) {
  return std::unique_ptr<Operation>(new FusionOperation<IsFinite>(IsFinite{}));
}

}  // namespace repconv
