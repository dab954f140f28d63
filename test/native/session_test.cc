// A session between runs: memory that is used again and let go of, plans made on several threads at once, and what it
// leaves of a thread's state.
#include <cmath>
#include <cstring>
#include <thread>

#include "core/block_pool.h"
#include "programs.h"

#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

namespace repconv::test {
namespace {

// A convolution over images of that extent, 8 channels in and out.
Description convolution(int64_t extent) {
  Description d;
  const int image = d.as(Layout::nhwc, d.input({1, 8, extent, extent}));
  const int weight = d.constant({8, 8, 3, 3}, std::vector<float>(8 * 8 * 9, 0.25f));
  const std::vector<Attribute> attributes = {numbers("padding", {1, 1, 1, 1})};
  d.outputs = {d.as(Layout::plain, d.step("conv2d", {image, weight, kNoValue, kNoValue}, {1, 8, extent, extent},
                                          Layout::nhwc, attributes))};
  return d;
}

std::shared_ptr<Session> open(const Description& d, int threads) {
  Result<Program> program = d.read();
  CHECK(program.isOk(), "%s", program.status().message().c_str());
  Result<std::shared_ptr<Session>> session = Session::make(std::move(program.value()), {cpuInfo().isa, threads, ""});
  CHECK(session.isOk(), "%s", session.status().message().c_str());
  return session.value();
}

struct Buffers {
  explicit Buffers(const Description& d)
      : from(static_cast<size_t>(8 * extentOf(d) * extentOf(d)), 1.0f), to(from.size()) {}
  static int64_t extentOf(const Description& d) { return d.values[0].shape[3]; }

  Status run(ThreadPool& pool, Session& session, const Plan& plan) {
    const void* inputs[] = {from.data()};
    void* outputs[] = {to.data()};
    return session.run(pool, plan, inputs, outputs, nullptr, nullptr);
  }

  std::vector<float> from, to;
};

}  // namespace

TEST("a pool of blocks hands out what it was given, counts everything and keeps as much as it was told") {
  BlockPool pool(2);
  CHECK(pool.sizeBytes() == 0, "counts %zu", pool.sizeBytes());
  Block one = pool.take(1000), two = pool.take(5000), three = pool.take(100);
  const void *first = one.as<void>(), *second = two.as<void>();
  CHECK(pool.sizeBytes() == one.sizeBytes() + two.sizeBytes() + three.sizeBytes(), "counts %zu", pool.sizeBytes());
  pool.give(std::move(two));
  pool.give(std::move(one));
  pool.give(std::move(three));
  CHECK(pool.sizeBytes() == Block::roundedSize(1000) + Block::roundedSize(5000), "counts %zu", pool.sizeBytes());
  // The smallest that is large enough; then the only one that is left, though it is larger than needed.
  one = pool.take(900);
  CHECK(one.as<void>() == first, "another block");
  two = pool.take(10);
  CHECK(two.as<void>() == second, "another block");
  pool.give(std::move(one));
  // One that is too small makes room.
  one = pool.take(9000);
  CHECK(pool.sizeBytes() == Block::roundedSize(9000) + Block::roundedSize(5000), "counts %zu", pool.sizeBytes());
  pool.give(std::move(one));
  pool.give(std::move(two));
  pool.trim(5000);
  CHECK(pool.sizeBytes() == Block::roundedSize(5000), "counts %zu", pool.sizeBytes());
  pool.trim(0);
  CHECK(pool.sizeBytes() == 0, "counts %zu", pool.sizeBytes());
  CHECK(!pool.take(SIZE_MAX) && !pool.take(SIZE_MAX / 2) && pool.sizeBytes() == 0, "memory that there cannot be");
}

TEST("a session's runs share one arena, and large ones go when told to") {
  ThreadPool pool;
  CHECK(pool.ensureThreads(1).isOk(), "no threads");
  const Description large = convolution(60), small = convolution(5);
  std::shared_ptr<Session> session = open(large, 1);
  Result<std::shared_ptr<const Plan>> largePlan = session->prepare(large.shapes(), large.shapes()),
                                      smallPlan = session->prepare(small.shapes(), small.shapes());
  CHECK(largePlan.isOk() && smallPlan.isOk(), "not planned");
  Buffers many(large), few(small);
  CHECK(many.run(pool, *session, *largePlan.value()).isOk(), "no run");
  const size_t arena = session->memory().arenaBytes;
  CHECK(arena >= largePlan.value()->arenaBytes(), "%zu bytes", arena);
  for (int i = 0; i < 3; i++) {
    CHECK(few.run(pool, *session, *smallPlan.value()).isOk() && many.run(pool, *session, *largePlan.value()).isOk(),
          "no run");
  }
  CHECK(session->memory().arenaBytes == arena, "%zu bytes after %zu", session->memory().arenaBytes, arena);
  session->trim(smallPlan.value()->arenaBytes(), 0);
  CHECK(session->memory().arenaBytes == 0, "%zu bytes are left", session->memory().arenaBytes);
  CHECK(few.run(pool, *session, *smallPlan.value()).isOk(), "no run");
  CHECK(session->memory().arenaBytes == Block::roundedSize(smallPlan.value()->arenaBytes()), "%zu bytes",
        session->memory().arenaBytes);
}

TEST("planning stops between steps when it is told to, and leaves the session as it was") {
  const Description d = convolution(9);
  std::shared_ptr<Session> session = open(d, 1);
  std::atomic<bool> isCancelled{true};
  Result<std::shared_ptr<const Plan>> plan = session->prepare(d.shapes(), d.shapes(), &isCancelled);
  CHECK(plan.status().code() == Code::aborted && session->memory().packedBytes == 0, "code %d",
        static_cast<int>(plan.status().code()));
  isCancelled = false;
  CHECK(session->prepare(d.shapes(), d.shapes(), &isCancelled).isOk(), "not planned afterwards");
}

TEST("plans are made on several threads at once, while others run, and weights are packed once") {
  ThreadPool pool;
  CHECK(pool.ensureThreads(2).isOk(), "no threads");
  const Description first = convolution(12);
  std::shared_ptr<Session> session = open(first, 2);
  CHECK(session->keepConstants(Session::Keep::all).isOk(), "no constants");
  std::shared_ptr<const Plan> plan = session->prepare(first.shapes(), first.shapes()).value();
  const size_t packed = session->memory().packedBytes;
  std::vector<std::thread> threads;
  std::atomic<int> failures{0};
  for (int t = 0; t < 4; t++) {
    threads.emplace_back([&, t] {
      Buffers own(first);
      for (int i = 0; i < repetitions(30); i++) {
        // The same extents as the others', sooner or later.
        const Description other = convolution(13 + (i + t) % 4);
        Result<std::shared_ptr<const Plan>> made =
            session->prepare(other.shapes(), other.shapes(), nullptr, t % 2 == 0 ? &pool : nullptr);
        Buffers buffers(other);
        const bool isRight =
            made.isOk() && buffers.run(pool, *session, *made.value()).isOk() && own.run(pool, *session, *plan).isOk();
        // Inside, 8 channels of 9 taps of a quarter.
        if (!isRight || own.to[5 * 12 + 5] != 18.0f ||
            buffers.to[static_cast<size_t>(5 * Buffers::extentOf(other) + 5)] != 18.0f)
          failures++;
        session->memory();
        session->trim(plan->arenaBytes(), 0);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(failures == 0, "%d wrong", failures.load());
  // Direct or Winograd: each packed at most once.
  CHECK(session->memory().packedBytes <= 4 * packed + (1 << 16), "%zu bytes after %zu", session->memory().packedBytes,
        packed);
}

TEST(
    "steps that several threads plan are planned as by one, and the first that cannot be is the one that is reported") {
  ThreadPool pool;
  CHECK(pool.ensureThreads(3).isOk(), "no threads");
  for (int seed = 1; seed <= repetitions(100); seed++) {
    Random random(static_cast<uint64_t>(seed) + 950000);
    Description d = randomProgram(random, 12);
    note("seed %d: %.400s", seed, d.show().c_str());
    std::shared_ptr<Session> one = open(d, 3), several = open(d, 3);
    Result<std::shared_ptr<const Plan>> expected = one->prepare(d.shapes(), d.shapes());
    Result<std::shared_ptr<const Plan>> made = several->prepare(d.shapes(), d.shapes(), nullptr, &pool);
    if (!expected.isOk() || !made.isOk()) {
      CHECK(false, "not planned");
      continue;
    }
    CHECK(made.value()->arenaBytes() == expected.value()->arenaBytes() &&
              several->memory().packedBytes == one->memory().packedBytes,
          "other memory");
    for (size_t s = 0; s < d.steps.size(); s++) {
      const Task &task = *made.value()->steps()[s].task, &wanted = *expected.value()->steps()[s].task;
      CHECK(std::strcmp(task.algorithm, wanted.algorithm) == 0 && task.estimates == wanted.estimates &&
                task.macs == wanted.macs,
            "step %zu", s);
    }
  }
  // Weights that are no constants: the one kind of mistake that only planning finds.
  Description d;
  int image = d.as(Layout::nhwc, d.input({1, 8, 5, 5}));
  const int varying = d.input({8, 8, 1, 1}), constant = d.constant({8, 8, 1, 1}, std::vector<float>(64, 1.0f));
  for (int s = 0; s < 30; s++) {
    const bool isTransposed = s == 11;
    image = d.step(isTransposed ? "convTranspose2d" : "conv2d",
                   {image, s == 11 || s > 20 ? varying : constant, kNoValue}, {1, 8, 5, 5}, Layout::nhwc);
  }
  d.outputs = {d.as(Layout::plain, image)};
  for (int i = 0; i < repetitions(20); i++) {
    const Status status = open(d, 3)->prepare(d.shapes(), d.shapes(), nullptr, &pool).status();
    CHECK(status.message().rfind("convTranspose2d: ", 0) == 0, "%s", status.message().c_str());
  }
}

TEST("constants that are private stay where they are until a plan is made, others are copied at once") {
  Description d;
  const int image = d.as(Layout::nhwc, d.input({1, 8, 5, 5}));
  const std::vector<float> numbers(64, 0.5f);
  const int first = d.constant({8, 8, 1, 1}, numbers), second = d.constant({8, 8, 1, 1}, numbers);
  const int between = d.step("conv2d", {image, first, kNoValue}, {1, 8, 5, 5}, Layout::nhwc);
  d.outputs = {d.as(Layout::plain, d.step("conv2d", {between, second, kNoValue}, {1, 8, 5, 5}, Layout::nhwc))};
  Result<Program> program = d.read();
  CHECK(program.isOk(), "%s", program.status().message().c_str());
  program.value().values[static_cast<size_t>(first)].isPrivate = true;
  std::shared_ptr<Session> session = Session::make(std::move(program.value()), {cpuInfo().isa, 1, ""}).value();
  const auto constantAt = [&](int value) { return session->program().values[static_cast<size_t>(value)].constant; };
  const void *outside = constantAt(first), *copied = constantAt(second);
  CHECK(session->keepConstants(Session::Keep::shared).isOk(), "no constants");
  CHECK(constantAt(first) == outside && constantAt(second) != copied, "the wrong one was copied");
  CHECK(session->memory().constantBytes == Block::roundedSize(64 * sizeof(float)), "%zu bytes",
        session->memory().constantBytes);
  ThreadPool pool;
  std::shared_ptr<const Plan> plan = session->prepare(d.shapes(), d.shapes()).value();
  CHECK(session->keepConstants(Session::Keep::used).isOk() && session->memory().constantBytes == 0, "%zu bytes",
        session->memory().constantBytes);
  CHECK(constantAt(first) != outside, "still read");
  d.values[static_cast<size_t>(first)].floats->assign(64, NAN);
  std::vector<float> from(200, 1.0f), to(200);
  const void* inputs[] = {from.data()};
  void* outputs[] = {to.data()};
  CHECK(session->run(pool, *plan, inputs, outputs, nullptr, nullptr).isOk() && to[199] == 16.0f, "%g",
        static_cast<double>(to[199]));
}

#if defined(__SSE2__)
TEST("a run leaves rounding and denormals of its thread as they were") {
  // All but the flags that say what happened (the lowest six bits).
  const auto control = [] { return _mm_getcsr() & ~0x3fu; };
  const unsigned before = control();
  for (int seed = 1; seed <= repetitions(200); seed++) {
    Random random(static_cast<uint64_t>(seed) + 900000);
    const Description d = randomProgram(random, 6);
    const std::vector<std::vector<float>> inputs = randomInputs(d, random);
    for (Isa isa : usableIsas()) {
      note("seed %d, %s", seed, isaName(isa));
      CHECK(runSession(d, {isa, 2, ""}, inputs).isOk(), "no run");
      CHECK(control() == before, "%#x became %#x", before, control());
    }
  }
}
#endif

}  // namespace repconv::test
