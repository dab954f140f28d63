// The arithmetic of folding, in float64: kernels scaled, placed and added in one pass, and channels contracted. (What
// may be folded is decided in lib/reparam; the plain twin of each step is lib/reparam/arithmetic.ts.) Kernels are [O,
// I, T]: output channels, input channels per group, taps. They are read where they lie, in float32 or float64, and a
// result that is to be rounded is rounded as it is stored, once: folding is one pass over memory.
#include <algorithm>
#include <atomic>
#include <cstring>

#include "ops/operation.h"

namespace repconv {
namespace {

bool isStored(const ValueType* type) {
  return type != nullptr && type->layout == Layout::plain && type->shape.size() == 3 &&
         (type->dtype == DType::float64 || type->dtype == DType::float32);
}

bool isKernel(const ValueType* type) { return isStored(type) && type->dtype == DType::float64; }

// Work for one thread: outputs of a kernel, a few at a time.
template <typename Body>
void forOutputs(Team& team, int64_t outputs, const Body& body) {
  const int64_t items = std::min<int64_t>(outputs, 64);
  team.parallelFor(static_cast<size_t>(items), [&](size_t item, int member) {
    const int64_t index = static_cast<int64_t>(item);
    for (int64_t o = outputs * index / items; o < outputs * (index + 1) / items; o++) body(o, member);
  });
}

// One kernel of a sum, as attributes say it: which inputs of the step have its numbers and factors, its groups, and
// where its taps go.
struct Term {
  int source = 0;
  int outputFactors = -1;  // by output channel; -1: none
  int inputFactors = -1;  // by input channel of all groups; -1: none
  int64_t groups = 1;
  bool isSwapped = false;  // stored as [I of all groups, O per group, T]
  std::vector<int64_t> taps;
};

// sumKernels: out[o, i, t] = Σ over terms of outputFactor[o] · inputFactor[c] · kernel[o, j, s], where j of the
// kernel's group is input channel c, i of the sum's, and tap s goes to t = taps[s]; the groups of a kernel are spread
// over fewer, larger ones. Terms are added in order. The second output is 1 where all sums are finite before they are
// rounded, else 0.
struct SumKernels {
  std::vector<Term> terms;
  int64_t groups = 1;
  bool isSwapped = false;  // of the result

  // [O, I, T] of a kernel as it is stored.
  static std::vector<int64_t> plainShape(const ValueType& type, int64_t groups, bool isSwapped) {
    const std::vector<int64_t>& shape = type.shape;
    return isSwapped ? std::vector<int64_t>{shape[1] * groups, shape[0] / groups, shape[2]} : shape;
  }

  bool fits(const StepTypes& types) const {
    if (types.outputs.size() != 2 || !isStored(types.outputs[0]) || types.outputs[1]->dtype != DType::float64 ||
        types.outputs[1]->size() != 1)
      return false;
    const ValueType& out = *types.outputs[0];
    if ((isSwapped && out.shape[0] % groups != 0)) return false;
    const std::vector<int64_t> shape = plainShape(out, groups, isSwapped);
    const int64_t O = shape[0], I = shape[1], T = shape[2];
    if (O % groups != 0) return false;
    return std::all_of(terms.begin(), terms.end(), [&](const Term& term) {
      const ValueType* source = types.input(static_cast<size_t>(term.source));
      if (!isStored(source) || term.groups % groups != 0 || (term.isSwapped && source->shape[0] % term.groups != 0))
        return false;
      const std::vector<int64_t> own = plainShape(*source, term.groups, term.isSwapped);
      const auto areFactors = [&](int input, int64_t size) {
        const ValueType* factors = input < 0 ? nullptr : types.input(static_cast<size_t>(input));
        return input < 0 ||
               (factors != nullptr && factors->dtype == DType::float64 && factors->shape == std::vector<int64_t>{size});
      };
      return own[0] == O && O % term.groups == 0 && own[1] * term.groups == I * groups &&
             term.taps.size() == static_cast<size_t>(own[2]) && areFactors(term.outputFactors, O) &&
             areFactors(term.inputFactors, I * groups) &&
             std::all_of(term.taps.begin(), term.taps.end(), [&](int64_t t) { return t < T; });
    });
  }
};

class SumKernelsTask : public Task {
 public:
  SumKernelsTask(const SumKernels& sum, const StepTypes& types) : sum_(sum), out_(*types.outputs[0]) {
    for (const ValueType* input : types.inputs) inputs_.push_back(input != nullptr ? *input : ValueType{});
    const std::vector<int64_t> shape = SumKernels::plainShape(out_, sum.groups, sum.isSwapped);
    O_ = shape[0], I_ = shape[1], T_ = shape[2];
    memberScratchBytes = roundUp(static_cast<size_t>(std::max<int64_t>(1, I_ * T_)) * sizeof(double), kCacheLineBytes);
  }

  void run(const RunContext& context) const override {
    std::atomic<bool> isAllFinite{true};
    forOutputs(context.team, O_, [&](int64_t o, int member) {
      double* row = context.scratch<double>(member);
      const bool isFinite = out_.dtype == DType::float32
                                ? computeOutput(context, o, row, static_cast<float*>(context.outputs[0]))
                                : computeOutput(context, o, row, static_cast<double*>(context.outputs[0]));
      if (!isFinite) isAllFinite.store(false, std::memory_order_relaxed);
    });
    *static_cast<double*>(context.outputs[1]) = isAllFinite.load(std::memory_order_relaxed) ? 1 : 0;
  }

 private:
  // Whether all its numbers are finite.
  template <typename To>
  bool computeOutput(const RunContext& context, int64_t o, double* row, To* out) const {
    // A kernel that is there everywhere is where the sum begins: alone, it keeps its −0, and goes straight to its
    // place.
    const bool isCovered = !sum_.terms.empty() && coversAll(sum_.terms[0]);
    if (isCovered && sum_.terms.size() == 1 && !sum_.isSwapped && isLine(sum_.terms[0])) {
      bool isFinite = false;
      withNumbers(sum_.terms[0], context, [&](const auto* kernel) {
        const double* byOutput = factors(context, sum_.terms[0].outputFactors);
        const double factor = byOutput != nullptr ? byOutput[o] : 1;
        const auto* from = kernel + o * I_ * T_;
        isFinite =
            storeRun(I_ * T_, out + o * I_ * T_, [&](int64_t i) { return factor * static_cast<double>(from[i]); });
      });
      return isFinite;
    }
    if (!isCovered) std::fill(row, row + I_ * T_, 0.0);
    for (size_t t = 0; t < sum_.terms.size(); t++) {
      const Term& term = sum_.terms[t];
      withNumbers(term, context, [&](const auto* kernel) { add(term, context, kernel, o, t == 0 && isCovered, row); });
    }
    return store(row, o, out);
  }

  bool isInPlace(const Term& term) const {
    for (size_t s = 0; s < term.taps.size(); s++) {
      if (term.taps[s] != static_cast<int64_t>(s)) return false;
    }
    return static_cast<int64_t>(term.taps.size()) == T_;
  }

  // Calls body with a kernel's numbers as what they are.
  template <typename Body>
  void withNumbers(const Term& term, const RunContext& context, const Body& body) const {
    const size_t source = static_cast<size_t>(term.source);
    if (inputs_[source].dtype == DType::float32) {
      body(static_cast<const float*>(context.inputs[source]));
    } else {
      body(static_cast<const double*>(context.inputs[source]));
    }
  }

  // Whether the numbers of an output lie side by side, with one factor.
  static bool isLine(const Term& term) { return !term.isSwapped && term.inputFactors < 0; }
  bool coversAll(const Term& term) const { return term.groups == sum_.groups && isInPlace(term); }

  // Output o of a term, on its row of the sum: added, or written where it is the first.
  template <typename From>
  void add(const Term& term, const RunContext& context, const From* kernel, int64_t o, bool isFirst,
           double* row) const {
    const int64_t S = static_cast<int64_t>(term.taps.size()), J = I_ * sum_.groups / term.groups,
                  outputs = O_ / term.groups, group = o / outputs;
    // The kernel's group begins at this input channel of the sum's group.
    const int64_t channel = group * J, first = channel - o / (O_ / sum_.groups) * I_;
    const auto* byOutput = factors(context, term.outputFactors);
    const auto* byInput = factors(context, term.inputFactors);
    const double factor = byOutput != nullptr ? byOutput[o] : 1;
    const From* from = term.isSwapped ? kernel + (channel * outputs + o - group * outputs) * S : kernel + o * J * S;
    const int64_t step = term.isSwapped ? outputs * S : S;
    const bool isRun = isInPlace(term);
    if (isRun && isLine(term)) return addRun(from, factor, J * S, isFirst, row + first * T_);
    for (int64_t j = 0; j < J; j++) {
      const double both = byInput != nullptr ? factor * byInput[channel + j] : factor;
      double* to = row + (first + j) * T_;
      if (isRun) {
        addRun(from + j * step, both, S, isFirst, to);
      } else {
        for (int64_t s = 0; s < S; s++)
          to[term.taps[static_cast<size_t>(s)]] += both * static_cast<double>(from[j * step + s]);
      }
    }
  }

  template <typename From>
  static void addRun(const From* from, double factor, int64_t size, bool isFirst, double* to) {
    if (isFirst) {
      for (int64_t i = 0; i < size; i++) to[i] = factor * static_cast<double>(from[i]);
    } else {
      for (int64_t i = 0; i < size; i++) to[i] += factor * static_cast<double>(from[i]);
    }
  }

  static const double* factors(const RunContext& context, int input) {
    return input < 0 ? nullptr : static_cast<const double*>(context.inputs[input]);
  }

  // Rounds a row to where it belongs; whether all its numbers are finite.
  template <typename To>
  bool store(const double* row, int64_t o, To* out) const {
    if (!sum_.isSwapped) return storeRun(I_ * T_, out + o * I_ * T_, [&](int64_t i) { return row[i]; });
    const int64_t outputs = O_ / sum_.groups, group = o / outputs;
    bool isFinite = true;
    for (int64_t i = 0; i < I_; i++)
      isFinite &= storeRun(T_, out + ((group * I_ + i) * outputs + o - group * outputs) * T_,
                           [&](int64_t t) { return row[i * T_ + t]; });
    return isFinite;
  }

  template <typename To, typename At>
  static bool storeRun(int64_t size, To* out, const At& at) {
    // x - x is 0, or NaN where x is none or infinite; in several sums, which are formed side by side.
    constexpr int64_t kSums = 8;
    double sums[kSums] = {};
    const auto put = [&](int64_t i, int64_t sum) {
      const double x = at(i);
      out[i] = static_cast<To>(x);
      sums[sum] += x - x;
    };
    int64_t i = 0;
    for (; i + kSums <= size; i += kSums) {
      for (int64_t s = 0; s < kSums; s++) put(i + s, s);
    }
    for (; i < size; i++) put(i, 0);
    for (int64_t s = 1; s < kSums; s++) sums[0] += sums[s];
    return sums[0] == 0;
  }

  SumKernels sum_;
  std::vector<ValueType> inputs_;
  ValueType out_;
  int64_t O_, I_, T_;
};

class SumKernelsOperation : public Operation {
 public:
  explicit SumKernelsOperation(SumKernels sum) : sum_(std::move(sum)) {}
  Status check(const StepTypes& types) const override {
    return sum_.fits(types) ? Status() : failure(Code::shape, "sumKernels: kernels do not go together");
  }
  // Which of the two, `fits` says.
  bool reads(size_t, DType dtype) const override { return dtype != DType::uint8; }
  bool makes(DType dtype) const override { return dtype != DType::uint8; }
  Result<std::unique_ptr<Task>> plan(const PlanContext& context) const override {
    return std::unique_ptr<Task>(new SumKernelsTask(sum_, *context.types));
  }

 private:
  SumKernels sum_;
};

// contractChannels: out[o, i, t, s] = Σ_m second[o, m, t] · first[g(o)·M + m, i, s], both with the same groups; the two
// taps as one axis.
struct ContractChannels {
  int groups = 1;

  bool fits(const StepTypes& types) const {
    if (types.outputs.size() != 1) return false;
    const ValueType *second = types.input(0), *first = types.input(1), *out = types.outputs[0];
    if (!isKernel(second) || !isKernel(first) || !isKernel(out)) return false;
    return second->shape[0] % groups == 0 && second->shape[1] * groups == first->shape[0] &&
           out->shape[0] == second->shape[0] && out->shape[1] == first->shape[1] &&
           out->shape[2] == second->shape[2] * first->shape[2];
  }

  void run(const RunContext& context, const ValueType& outer, const ValueType& inner) const {
    const int64_t O = outer.shape[0], M = outer.shape[1], T = outer.shape[2], I = inner.shape[1], S = inner.shape[2];
    const double *second = static_cast<const double*>(context.inputs[0]),
                 *first = static_cast<const double*>(context.inputs[1]);
    double* out = static_cast<double*>(context.outputs[0]);
    forOutputs(context.team, O, [&](int64_t o, int) {
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

class ContractChannelsTask : public Task {
 public:
  ContractChannelsTask(ContractChannels contract, const StepTypes& types)
      : contract_(contract), second_(*types.inputs[0]), first_(*types.inputs[1]) {}
  void run(const RunContext& context) const override { contract_.run(context, second_, first_); }

 private:
  ContractChannels contract_;
  ValueType second_, first_;
};

class ContractChannelsOperation : public Operation {
 public:
  explicit ContractChannelsOperation(ContractChannels contract) : contract_(contract) {}
  Status check(const StepTypes& types) const override {
    return contract_.fits(types) ? Status() : failure(Code::shape, "contractChannels: kernels do not go together");
  }
  bool reads(size_t, DType dtype) const override { return dtype == DType::float64; }
  bool makes(DType dtype) const override { return dtype == DType::float64; }
  Result<std::unique_ptr<Task>> plan(const PlanContext& context) const override {
    return std::unique_ptr<Task>(new ContractChannelsTask(contract_, *context.types));
  }

 private:
  ContractChannels contract_;
};

}  // namespace

Result<std::unique_ptr<Operation>> makeSumKernels(const Attributes& attributes) {
  constexpr size_t kRecord = 6;
  SumKernels sum;
  std::vector<int64_t> records, taps;
  int groups = 1, isSwapped = 0;
  for (const Status& status :
       {attributes.list("terms", -1, &records), attributes.list("taps", 0, &taps),
        attributes.integers("groups", 1, 1, &groups), attributes.integers("swapped", 1, 0, &isSwapped)}) {
    if (!status.isOk()) return status;
  }
  sum.groups = groups;
  sum.isSwapped = isSwapped != 0;
  size_t at = 0;
  for (size_t r = 0; r + kRecord <= records.size(); r += kRecord) {
    const int64_t* record = &records[r];
    if (record[0] < 0 || record[3] < 1 || record[5] < 0 || taps.size() - at < static_cast<size_t>(record[5])) break;
    const auto first = taps.begin() + static_cast<ptrdiff_t>(at);
    at += static_cast<size_t>(record[5]);
    sum.terms.push_back({static_cast<int>(record[0]),
                         static_cast<int>(record[1]),
                         static_cast<int>(record[2]),
                         record[3],
                         record[4] > 0,
                         {first, first + static_cast<ptrdiff_t>(record[5])}});
  }
  if (sum.terms.size() * kRecord != records.size() || at != taps.size())
    return failure(Code::input, "sumKernels: terms expects six numbers for each, and as many taps as they say");
  return std::unique_ptr<Operation>(new SumKernelsOperation(std::move(sum)));
}

Result<std::unique_ptr<Operation>> makeContractChannels(const Attributes& attributes) {
  ContractChannels contract;
  if (Status status = attributes.integers("groups", 1, 1, &contract.groups); !status.isOk()) return status;
  return std::unique_ptr<Operation>(new ContractChannelsOperation(contract));
}

}  // namespace repconv
