// Whole programs at random: the arena, the guard pages around every value, the instruction sets and thread counts, all
// against each other.
#include <cstring>

#include "bfloat16_ways.h"
#include "programs.h"

namespace repconv::test {
namespace {

const std::vector<std::string> kConvs = {"", "direct", "im2col", "pointwise", "depthwise"};

}  // namespace

TEST("a program computes the same bits in one arena as with every value in guarded memory of its own") {
  for (int seed = 1; seed <= repetitions(1500); seed++) {
    Random random(static_cast<uint64_t>(seed));
    const Description program = randomProgram(random, random.between(1, 12));
    const std::vector<std::vector<float>> inputs = randomInputs(program, random);
    for (Isa isa : usableIsas()) {
      const Way way{isa, random.between(1, 3), random.of(kConvs)};
      Result<Outputs> guarded = runGuarded(program, way, inputs, seed % 2 == 0);
      note("seed %d, %s, %d threads, conv %s: %.3000s", seed, isaName(isa), way.threads, way.conv.c_str(),
           program.show().c_str());
      Result<Outputs> session = runSession(program, way, inputs);
      CHECK(guarded.isOk(), "guarded: %s", guarded.status().message().c_str());
      CHECK(session.isOk(), "session: %s", session.status().message().c_str());
      if (guarded.isOk() && session.isOk())
        CHECK(isSame(guarded.value(), session.value()), "the arena changes the result");
    }
  }
}

TEST("a program computes the same bits on 1 to 4 threads") {
  for (int seed = 1; seed <= repetitions(300); seed++) {
    Random random(static_cast<uint64_t>(seed) + 100000);
    const Description program = randomProgram(random, random.between(1, 12));
    const std::vector<std::vector<float>> inputs = randomInputs(program, random);
    for (Isa isa : usableIsas()) {
      note("seed %d, %s: %.3000s", seed, isaName(isa), program.show().c_str());
      Result<Outputs> one = runSession(program, {isa, 1, ""}, inputs);
      CHECK(one.isOk(), "%s", one.status().message().c_str());
      for (int threads = 2; one.isOk() && threads <= 4; threads++) {
        Result<Outputs> more = runSession(program, {isa, threads, ""}, inputs);
        CHECK(more.isOk() && isSame(one.value(), more.value()), "%d threads change the result", threads);
      }
    }
  }
}

TEST("a batch in parts computes the same bits as the whole batch, and as each value in guarded memory of its own") {
  int cut = 0;
  for (int seed = 1; seed <= repetitions(1000); seed++) {
    Random random(static_cast<uint64_t>(seed) + 300000);
    const Description program = randomProgram(random, random.between(1, 12));
    const std::vector<std::vector<float>> inputs = randomInputs(program, random);
    for (Isa isa : usableIsas()) {
      const int threads = random.between(1, 3);
      note("seed %d, %s, %d threads: %.3000s", seed, isaName(isa), threads, program.show().c_str());
      Result<Outputs> guarded = runGuarded(program, {isa, threads, ""}, inputs, seed % 2 == 0);
      Result<Outputs> whole = runSession(program, {.isa = isa, .threads = threads, .conv = "", .partBytes = ~size_t{0}},
                                         inputs),
                      parts = runSession(program, {.isa = isa, .threads = threads, .conv = "", .partBytes = 0}, inputs);
      CHECK(whole.isOk() && parts.isOk() && guarded.isOk(), "%s", parts.status().message().c_str());
      if (!whole.isOk() || !parts.isOk() || !guarded.isOk()) continue;
      CHECK(isSame(whole.value(), parts.value()) && isSame(guarded.value(), parts.value()), "parts change the result");
      Result<Program> read = program.read();
      Result<std::shared_ptr<Session>> session =
          Session::make(std::move(read.value()), {.isa = isa, .threads = threads, .conv = "", .partBytes = 0});
      cut += session.value()->prepare(program.shapes(), program.shapes()).value()->parts().count > 1;
    }
  }
  CHECK(cut > 0, "no program was cut into parts");
}

TEST("in bfloat16, too, neither parts nor threads nor the arena change a bit") {
  const Bfloat16Ways kernels = bfloat16Ways();
  for (const Bfloat16Kernels* one : kernels.kernels) {
    for (int seed = 1; seed <= kernels.repetitionsOf(one, 300, 60); seed++) {
      Random random(static_cast<uint64_t>(seed) + 900000);
      const Description program = randomProgram(random, random.between(1, 10));
      const std::vector<std::vector<float>> inputs = randomInputs(program, random);
      const auto [conv, precision] = random.of<std::pair<const char*, Precision>>(
          {{"bfloat16", Precision::bfloat16}, {"bfloat16x3", Precision::bfloat16x3}, {"", Precision::bfloat16}});
      Way way{Isa::avx512, random.between(1, 3), conv, precision, one, ~size_t{0}};
      note("seed %d, %s, conv %s, %d threads: %.3000s", seed, one->name, conv, way.threads, program.show().c_str());
      const Result<Outputs> guarded = runGuarded(program, way, inputs, seed % 2 == 0),
                            whole = runSession(program, way, inputs);
      way.partBytes = 0;
      const Result<Outputs> parts = runSession(program, way, inputs);
      way.threads = 4 - way.threads;
      const Result<Outputs> others = runSession(program, way, inputs);
      CHECK(guarded.isOk() && whole.isOk() && parts.isOk() && others.isOk(), "%s", whole.status().message().c_str());
      if (!guarded.isOk() || !whole.isOk() || !parts.isOk() || !others.isOk()) continue;
      CHECK(isSame(guarded.value(), whole.value()), "the arena changes the result");
      CHECK(isSame(parts.value(), whole.value()), "parts change the result");
      CHECK(isSame(others.value(), whole.value()), "threads change the result");
    }
  }
}

}  // namespace repconv::test
