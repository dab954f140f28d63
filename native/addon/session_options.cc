#include "addon/session_options.h"

#include <algorithm>

#include "addon/environment.h"
#include "ops/conv/conv.h"

namespace repconv {
namespace {

// The precision of that name, and its kernels; "fastest" is bfloat16 where there are any: the chooser still takes
// float32 where that is faster.
Status choosePrecision(const std::string& name, SessionOptions* options) {
  if (name.empty() || name == "float32") return Status();
  const bool isFastest = name == "fastest";
  if (!isFastest && name != "bfloat16" && name != "bfloat16x3") {
    return failure(Code::input, "session: precision expects float32, bfloat16x3, bfloat16 or fastest, got %.40s",
                   name.c_str());
  }
  options->bfloat16 = availableBfloat16(options->isa);
  if (options->bfloat16 != nullptr) {
    options->precision = name == "bfloat16x3" ? Precision::bfloat16x3 : Precision::bfloat16;
  } else if (!isFastest) {
    const char* because = options->isa < cpuInfo().isa ? " at most, as was asked for"
                          : cpuInfo().hasAmxBf16       ? "; it has AMX, but the operating system does not permit it"
                                                       : "";
    return failure(Code::unsupported,
                   "session: precision %s expects a processor with AMX, or AMD's with AVX512_BF16; this one (%s) "
                   "computes in float32, with %s%s",
                   name.c_str(), cpuInfo().model.c_str(), isaName(options->isa), because);
  }
  return Status();
}

}  // namespace

Status readOptions(Napi::Env env, Napi::Value value, SessionOptions* options) {
  if (!value.IsObject()) return failure(Code::input, "session: expects options");
  ObjectReader reader(value.As<Napi::Object>(), "session");
  options->isa = cpuInfo().isa;
  const std::string isa = reader.text("isa", true);
  Isa wanted = Isa::scalar;
  if (!isa.empty() && !parseIsa(isa, &wanted))
    return failure(Code::input, "session: isa expects scalar, avx2 or avx512, got %.40s", isa.c_str());
  // A cap: a processor that has less uses what it has.
  if (!isa.empty() && wanted < options->isa) options->isa = wanted;
  const double threads = reader.number("threads", 0), poolThreads = reader.number("poolThreads", 0);
  for (double number : {threads, poolThreads}) {
    if (!(number >= 0 && number <= kMaxTeam))
      return failure(Code::input, "session: threads expects at most %d, got %g", kMaxTeam, number);
  }
  const auto orBudget = [](double number) {
    return std::min(kMaxTeam, number >= 1 ? static_cast<int>(number) : threadBudget().threads());
  };
  options->threads = orBudget(threads);
  options->conv = reader.text("conv", true);
  const std::string precision = reader.text("precision", true);
  if (!reader.isOk()) return reader.status();
  if (Status status = choosePrecision(precision, options); !status.isOk()) return status;
  if (!options->conv.empty()) {
    if (Status status = checkConvName(options->conv); !status.isOk()) return status;
  }
  // A run of few threads leaves the others to other runs.
  return Environment::of(env).pool().ensureThreads(std::max(options->threads, orBudget(poolThreads)));
}

}  // namespace repconv
