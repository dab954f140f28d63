// Every allocation of a session's life fails once: making, planning, keeping, running. Each time an error that says so,
// and the next try is right.
#include <cstring>
#include <new>

#include "allocation.h"
#include "bfloat16_ways.h"
#include "programs.h"

namespace repconv::test {
namespace {

// As the addon calls in: what throws becomes a code.
template <typename Body>
Status guarded(const Body& body) {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return Status(Code::outOfMemory, "no memory");
  }
}

struct Memory {
  std::vector<std::vector<unsigned char>> inputs;
  std::vector<std::vector<float>> outputs;
  std::vector<const void*> from;
  std::vector<void*> to;
};

Memory memoryOf(const Description& d, const std::vector<std::vector<float>>& inputs) {
  Memory memory;
  for (size_t i = 0; i < inputs.size(); i++) memory.inputs.push_back(memoryOf(d, i, inputs[i]));
  for (int output : d.outputs) {
    size_t size = 1;
    for (int64_t extent : d.values[static_cast<size_t>(output)].shape) size *= static_cast<size_t>(extent);
    memory.outputs.emplace_back(size, -1.0f);
  }
  for (const std::vector<unsigned char>& input : memory.inputs) memory.from.push_back(input.data());
  for (std::vector<float>& output : memory.outputs) memory.to.push_back(output.data());
  return memory;
}

// Calls `attempt` with its first, second, … allocation failing until none fails any more. Returns how many failed.
template <typename Attempt>
int failEach(const char* what, const Attempt& attempt) {
  for (int n = 1; n < 5000; n++) {
    failAllocation(n);
    const Status status = guarded(attempt);
    const bool hasFailed = stopFailing();
    if (!hasFailed) {
      CHECK(status.isOk(), "%s: %s with memory enough", what, status.message().c_str());
      return n - 1;
    }
    // Some failures cost only speed or threads; an error must say what it is.
    CHECK(status.isOk() || status.code() == Code::outOfMemory, "%s, allocation %d: code %d, %s", what, n,
          static_cast<int>(status.code()), status.message().c_str());
  }
  CHECK(false, "%s allocates without end", what);
  return 0;
}

}  // namespace

TEST("every allocation of making, planning and running a session fails once: a code, and the next try is right") {
  ThreadPool pool;
  CHECK(pool.ensureThreads(2).isOk(), "no threads");
  int failures = 0;
  for (int seed = 1; seed <= repetitions(40); seed++) {
    Random random(static_cast<uint64_t>(seed) + 800000);
    const Description d = randomProgram(random, random.between(1, 8));
    const std::vector<std::vector<float>> inputs = randomInputs(d, random);
    const Way way{cpuInfo().isa, random.between(1, 2), ""};
    note("seed %d: %.400s", seed, d.show().c_str());
    Result<Outputs> expected = runSession(d, way, inputs);
    if (!expected.isOk()) {
      CHECK(false, "%s", expected.status().message().c_str());
      continue;
    }
    Memory memory = memoryOf(d, inputs);

    // From nothing to a result, all in one.
    failures += failEach("the whole life", [&]() -> Status {
      Result<Program> program = d.read();
      if (!program.isOk()) return program.status();
      Result<std::shared_ptr<Session>> session =
          Session::make(std::move(program.value()), {way.isa, way.threads, way.conv});
      if (!session.isOk()) return session.status();
      Result<std::shared_ptr<const Plan>> plan = session.value()->prepare(d.shapes(), d.shapes());
      if (!plan.isOk()) return plan.status();
      if (Status status = session.value()->keepConstants(Session::Keep::all); !status.isOk()) return status;
      return session.value()->run(pool, *plan.value(), memory.from.data(), memory.to.data(), nullptr, nullptr);
    });

    // One session that goes on after each failure: its plans, then its runs.
    Result<Program> program = d.read();
    if (!program.isOk()) continue;
    Result<std::shared_ptr<Session>> session =
        Session::make(std::move(program.value()), {way.isa, way.threads, way.conv});
    std::shared_ptr<const Plan> plan;
    failures += failEach("planning", [&]() -> Status {
      Result<std::shared_ptr<const Plan>> made = session.value()->prepare(d.shapes(), d.shapes(), nullptr, &pool);
      if (made.isOk()) plan = made.value();
      return made.status();
    });
    failures += failEach("running", [&]() -> Status {
      for (std::vector<float>& output : memory.outputs) std::fill(output.begin(), output.end(), -1.0f);
      return session.value()->run(pool, *plan, memory.from.data(), memory.to.data(), nullptr, nullptr);
    });
    for (size_t i = 0; i < memory.outputs.size(); i++) {
      const std::vector<float>&got = memory.outputs[i], &wanted = expected.value()[i];
      CHECK(got.size() == wanted.size() && std::memcmp(got.data(), wanted.data(), got.size() * sizeof(float)) == 0,
            "output %zu differs after the failures", i);
    }
  }
  note("in all");
  CHECK(failures > repetitions(40) * 20, "only %d allocations failed: does the engine allocate somewhere else?",
        failures);
}

// Runs once, then again with every allocation refused.
void expectNoAllocation(const Description& d, const std::vector<std::vector<float>>& inputs, const Way& way,
                        ThreadPool& pool) {
  note("%s, conv %s, %d threads: %.400s", isaName(way.isa), way.conv.c_str(), way.threads, d.show().c_str());
  Memory memory = memoryOf(d, inputs);
  Result<Program> program = d.read();
  Result<std::shared_ptr<Session>> session = Session::make(
      std::move(program.value()), {way.isa, way.threads, way.conv, way.precision, way.bfloat16, way.partBytes});
  Result<std::shared_ptr<const Plan>> plan = session.value()->prepare(d.shapes(), d.shapes());
  CHECK(plan.isOk(), "%s", plan.status().message().c_str());
  const auto run = [&] {
    return session.value()->run(pool, *plan.value(), memory.from.data(), memory.to.data(), nullptr, nullptr);
  };
  CHECK(run().isOk(), "the first run fails");
  for (int again = 2; again <= 4; again++) {
    failAllocation(1);
    const Status status = guarded(run);
    CHECK(!stopFailing() && status.isOk(), "run %d allocates", again);
  }
}

TEST("a run allocates nothing once the session has run before: random programs") {
  ThreadPool pool;
  CHECK(pool.ensureThreads(3).isOk(), "no threads");
  for (int seed = 1; seed <= repetitions(200); seed++) {
    Random random(static_cast<uint64_t>(seed) + 900000);
    const Description d = randomProgram(random, random.between(1, 8));
    const std::vector<std::vector<float>> inputs = randomInputs(d, random);
    const size_t partBytes = random.chance(50) ? 0 : mostWholeBytes();
    expectNoAllocation(
        d, inputs,
        {.isa = random.of(usableIsas()), .threads = random.between(1, 3), .conv = "", .partBytes = partBytes}, pool);
  }
}

TEST("a run allocates nothing once the session has run before: every convolution algorithm") {
  const Bfloat16Ways bfloat16 = bfloat16Ways();
  std::vector<Way> ways;
  for (Isa isa : usableIsas()) {
    for (const char* conv : {"direct", "im2col", "pointwise", "depthwise", "winograd2", "winograd4"})
      ways.push_back({isa, 2, conv});
  }
  for (const Bfloat16Kernels* kernels : bfloat16.kernels) {
    ways.push_back({Isa::avx512, 2, "bfloat16", Precision::bfloat16, kernels});
    ways.push_back({Isa::avx512, 2, "bfloat16x3", Precision::bfloat16x3, kernels});
  }
  // Dense, depthwise, 1×1 and strided, with a residual and an activation of its own pass.
  Description d;
  const int input = d.input({2, 64, 12, 11}), image = d.as(Layout::nhwc, input);
  const auto weight = [&](int64_t perGroup, int64_t kernel) {
    return d.constant({64, perGroup, kernel, kernel},
                      std::vector<float>(static_cast<size_t>(64 * perGroup * kernel * kernel), 0.01f));
  };
  const std::vector<Attribute> padded = {numbers("padding", {1, 1, 1, 1}), word("activation", "silu")};
  const int dense = d.step("conv2d", {image, weight(64, 3), kNoValue, image}, {2, 64, 12, 11}, Layout::nhwc, padded);
  std::vector<Attribute> grouped = padded;
  grouped.push_back(numbers("groups", {64}));
  const int depthwise =
      d.step("conv2d", {dense, weight(1, 3), kNoValue, dense}, {2, 64, 12, 11}, Layout::nhwc, grouped);
  const int pointwise = d.step("conv2d", {depthwise, weight(64, 1), kNoValue, kNoValue}, {2, 64, 12, 11}, Layout::nhwc);
  std::vector<Attribute> strided = padded;
  strided.push_back(numbers("stride", {2, 2}));
  d.outputs = {d.as(Layout::plain, d.step("conv2d", {pointwise, weight(64, 3), kNoValue, kNoValue}, {2, 64, 6, 6},
                                          Layout::nhwc, strided))};
  ThreadPool pool;
  CHECK(pool.ensureThreads(2).isOk(), "no threads");
  for (const Way& way : ways) expectNoAllocation(d, {std::vector<float>(2 * 64 * 12 * 11, 1.0f)}, way, pool);
}

TEST("constants that cannot be kept for want of memory leave the session as it was") {
  Description d;
  const int input = d.as(Layout::nhwc, d.input({1, 16, 4, 4}));
  const int slope = d.constant({1, 16, 1, 1}, std::vector<float>(16, 2.0f));
  d.outputs = {d.as(Layout::plain, d.step("mul", {input, d.as(Layout::nhwc, slope)}, {1, 16, 4, 4}, Layout::nhwc))};
  Memory memory = memoryOf(d, {std::vector<float>(256, 3.0f)});
  ThreadPool pool;
  for (int n = 1; n < 100; n++) {
    Result<Program> program = d.read();
    Result<std::shared_ptr<Session>> session = Session::make(std::move(program.value()), {cpuInfo().isa, 1, ""});
    Result<std::shared_ptr<const Plan>> plan = session.value()->prepare(d.shapes(), d.shapes());
    failAllocation(n);
    const Status status = guarded([&] { return session.value()->keepConstants(Session::Keep::all); });
    const bool hasFailed = stopFailing();
    note("allocation %d", n);
    Result<std::shared_ptr<const Plan>> again = session.value()->prepare(d.shapes(), d.shapes());
    CHECK(again.isOk() &&
              session.value()->run(pool, *again.value(), memory.from.data(), memory.to.data(), nullptr, nullptr).isOk(),
          "the session is lost");
    for (float x : memory.outputs[0]) CHECK(x == 6.0f, "3 · 2 is %g", static_cast<double>(x));
    if (!hasFailed) {
      CHECK(status.isOk(), "%s", status.message().c_str());
      return;
    }
  }
}

}  // namespace repconv::test
