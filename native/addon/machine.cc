#include "addon/machine.h"

#include <chrono>

#include "addon/environment.h"
#include "kernels/bfloat16.h"
#include "kernels/table.h"

namespace repconv {
namespace {

// The instruction set that is asked for, or the processor's where that has less or nothing is asked for.
Isa isaOf(Napi::Value name) {
  Isa wanted = cpuInfo().isa;
  if (name.IsString()) parseIsa(name.As<Napi::String>().Utf8Value(), &wanted);
  return wanted < cpuInfo().isa ? wanted : cpuInfo().isa;
}

double bestPeak(Isa isa) {
  float sink[4] = {1 - 0x1p-20f, 0x1p-20f, 0, 0};
  double best = 0;
  for (int stretch = 0; stretch < 20; stretch++) {
    const auto start = std::chrono::steady_clock::now();
    const double operations = kernelTable(isa).peak(200000, sink);
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (operations / seconds > best) best = operations / seconds;
  }
  return best;
}

class PeakMeasurement : public AsyncRun {
 public:
  explicit PeakMeasurement(Isa isa) : isa_(isa) {}

 protected:
  Status compute(ThreadPool&) override {
    peak_ = bestPeak(isa_);
    return Status();
  }
  Result<Napi::Value> deliver(Napi::Env env) override { return Napi::Number::New(env, peak_); }

 private:
  Isa isa_;
  double peak_ = 0;
};

}  // namespace

Result<Napi::Value> describeMachine(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const CpuInfo& cpu = cpuInfo();
  const ThreadBudget budget = threadBudget();
  Napi::Object result = Napi::Object::New(env);
  put(result, "model", cpu.model);
  put(result, "isa", isaName(cpu.isa));
  const Bfloat16Kernels* bfloat16 = availableBfloat16(cpu.isa);
  put(result, "bfloat16", bfloat16 != nullptr ? bfloat16->name : "");
  put(result, "l2Bytes", static_cast<double>(cpu.l2Bytes));
  put(result, "affinity", budget.affinity);
  put(result, "quota", budget.quota);
  put(result, "threads", budget.threads());
  return result;
}

Result<Napi::Value> measurePeak(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), bestPeak(isaOf(info[0])));
}

Result<Napi::Value> measurePeakAsync(const Napi::CallbackInfo& info) {
  Environment& environment = Environment::of(info.Env());
  // Where no session has been made there may be no thread yet.
  if (Status status = environment.pool().ensureThreads(1); !status.isOk()) return status;
  Result<Environment::Started> started = environment.start(std::make_unique<PeakMeasurement>(isaOf(info[0])), 1);
  if (!started.isOk()) return started.status();
  return started.value().promise;
}

}  // namespace repconv
