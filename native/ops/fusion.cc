// The arithmetic of folding, in float64: scale channels, place taps, contract channels. (What may be folded is decided in lib/reparam; the
// plain twin of each step is lib/reparam/arithmetic.ts.) Kernels are [O, I, T]: output channels, input channels per group, taps.
#include <algorithm>
#include <cstring>

#include "ops/operation.h"

namespace repconv {
namespace {

const double* kernelAt(const RunContext& context, size_t input) { return static_cast<const double*>(context.inputs[input]); }

bool isKernel(const ValueType* type) { return type != nullptr && type->layout == Layout::plain && type->shape.size() == 3; }

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
    for (const ValueType* input : types.inputs) inputs_.push_back(input != nullptr ? input->shape : std::vector<int64_t>{});
    output_ = types.outputs[0]->shape;
  }
  void run(const RunContext& context) const override { attribute_.run(context, inputs_, output_); }

 private:
  Attribute attribute_;
  std::vector<std::vector<int64_t>> inputs_;
  std::vector<int64_t> output_;
};

template <typename Attribute>
class FusionOperation : public Operation {
 public:
  explicit FusionOperation(Attribute attribute) : attribute_(std::move(attribute)) {}
  Status check(const StepTypes& types) const override {
    const bool isRight = types.outputs.size() == 1 && isKernel(types.outputs[0]) && attribute_.fits(types);
    return isRight ? Status() : failure(Code::shape, "%s: kernels do not go together", Attribute::kName);
  }
  DType inputType(size_t) const override { return DType::float64; }
  DType outputType() const override { return DType::float64; }
  Result<std::unique_ptr<Task>> plan(const PlanContext& context) const override {
    return std::unique_ptr<Task>(new FusionTask<Attribute>(*context.types, attribute_));
  }

 private:
  Attribute attribute_;
};

// scaleChannels: out[o, i, t] = kernel[o, i, t] · factors[o], or · factors[g(o)·I + i] over the input channels.
struct ScaleChannels {
  static constexpr const char* kName = "scaleChannels";
  int isInput = 0;
  int groups = 1;

  bool fits(const StepTypes& types) const {
    const ValueType *kernel = types.input(0), *factors = types.input(1);
    if (!isKernel(kernel) || factors == nullptr || kernel->shape != types.outputs[0]->shape || kernel->shape[0] % groups != 0) return false;
    return factors->shape == std::vector<int64_t>{isInput ? kernel->shape[1] * groups : kernel->shape[0]};
  }

  void run(const RunContext& context, const std::vector<std::vector<int64_t>>& shapes, const std::vector<int64_t>&) const {
    const int64_t O = shapes[0][0], I = shapes[0][1], T = shapes[0][2];
    const double *kernel = kernelAt(context, 0), *factors = kernelAt(context, 1);
    double* out = static_cast<double*>(context.outputs[0]);
    forOutputs(context.team, O, [&](int64_t o) {
      for (int64_t i = 0; i < I; i++) {
        const double factor = isInput ? factors[o / (O / groups) * I + i] : factors[o];
        for (int64_t t = 0; t < T; t++) out[(o * I + i) * T + t] = kernel[(o * I + i) * T + t] * factor;
      }
    });
  }
};

// placeTaps: out = base + kernel with tap t at taps[t], and its groups spread over fewer, larger ones.
struct PlaceTaps {
  static constexpr const char* kName = "placeTaps";
  std::vector<int64_t> taps;
  int kernelGroups = 1;
  int groups = 1;

  bool fits(const StepTypes& types) const {
    const ValueType *base = types.input(0), *kernel = types.input(1), *out = types.outputs[0];
    if (!isKernel(kernel) || (base != nullptr && (!isKernel(base) || base->shape != out->shape))) return false;
    if (kernel->shape[0] != out->shape[0] || kernelGroups % groups != 0 || out->shape[0] % kernelGroups != 0) return false;
    if (kernel->shape[1] * kernelGroups != out->shape[1] * groups || taps.size() != static_cast<size_t>(kernel->shape[2])) return false;
    return std::all_of(taps.begin(), taps.end(), [&](int64_t t) { return t < out->shape[2]; });
  }

  void run(const RunContext& context, const std::vector<std::vector<int64_t>>& shapes, const std::vector<int64_t>& target) const {
    const int64_t O = target[0], I = target[1], T = target[2], J = shapes[1][1], S = shapes[1][2];
    const double *base = kernelAt(context, 0), *kernel = kernelAt(context, 1);
    double* out = static_cast<double*>(context.outputs[0]);
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
        for (int64_t s = 0; s < S; s++) row[(first + j) * T + taps[static_cast<size_t>(s)]] += kernel[(o * J + j) * S + s];
      }
    });
  }
};

// contractChannels: out[o, i, t, s] = Σ_m second[o, m, t] · first[g(o)·M + m, i, s], both with the same groups; the two taps as one axis.
struct ContractChannels {
  static constexpr const char* kName = "contractChannels";
  int groups = 1;

  bool fits(const StepTypes& types) const {
    const ValueType *second = types.input(0), *first = types.input(1), *out = types.outputs[0];
    if (!isKernel(second) || !isKernel(first)) return false;
    return second->shape[0] % groups == 0 && second->shape[1] * groups == first->shape[0] && out->shape[0] == second->shape[0] &&
           out->shape[1] == first->shape[1] && out->shape[2] == second->shape[2] * first->shape[2];
  }

  void run(const RunContext& context, const std::vector<std::vector<int64_t>>& shapes, const std::vector<int64_t>&) const {
    const int64_t O = shapes[0][0], M = shapes[0][1], T = shapes[0][2], I = shapes[1][1], S = shapes[1][2];
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

}  // namespace

Result<std::unique_ptr<Operation>> makeScaleChannels(const Attributes& attributes) {
  ScaleChannels scale;
  for (const Status& status : {attributes.integers("input", 1, 0, &scale.isInput), attributes.integers("groups", 1, 1, &scale.groups)}) {
    if (!status.isOk()) return status;
  }
  return std::unique_ptr<Operation>(new FusionOperation<ScaleChannels>(scale));
}

Result<std::unique_ptr<Operation>> makePlaceTaps(const Attributes& attributes) {
  PlaceTaps place;
  for (const Status& status : {attributes.list("taps", 0, &place.taps), attributes.integers("kernelGroups", 1, 1, &place.kernelGroups),
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

}  // namespace repconv
