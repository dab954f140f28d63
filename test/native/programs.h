// Programs for tests, as plain data that can be made at random, changed, and read into the engine's Program as often as
// needed.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "executor/session.h"
#include "test.h"

namespace repconv::test {

struct DescribedValue {
  DType dtype = DType::float32;
  Layout layout = Layout::plain;
  std::vector<int64_t> shape;
  // The numbers of a constant: as many as the shape says, of the dtype.
  std::shared_ptr<std::vector<float>> floats;
  std::shared_ptr<std::vector<double>> doubles;
};

struct DescribedStep {
  std::string operation;
  std::vector<int> inputs, outputs;
  std::vector<Attribute> attributes;
};

struct Description {
  std::vector<DescribedValue> values;
  std::vector<DescribedStep> steps;
  std::vector<int> inputs, outputs;

  // The constants stay the description's.
  Result<Program> read() const;
  std::vector<std::vector<int64_t>> shapes() const;
  // For the message of a failure.
  std::string show() const;

  int input(std::vector<int64_t> shape);
  // Bytes [N, H, W, C] and the step that makes an image of them; its output.
  int byteImage(std::vector<int64_t> shape, std::vector<float> mean, std::vector<float> deviation);
  int constant(std::vector<int64_t> shape, std::vector<float> data);
  int constant64(std::vector<int64_t> shape, std::vector<double> data);
  // Appends a step and returns its output.
  int step(std::string operation, std::vector<int> from, std::vector<int64_t> shape, Layout layout,
           std::vector<Attribute> attributes = {});
  // `value` in that layout: itself, or a conversion of it.
  int as(Layout layout, int value);
};

inline Attribute numbers(std::string name, std::vector<double> values) {
  return {std::move(name), std::move(values), {}};
}
inline Attribute word(std::string name, std::string value) { return {std::move(name), {}, std::move(value)}; }

// A valid program of up to `steps` steps over small images: convolutions with random geometry, residuals and
// activations, pooling, sums, layout changes, reshapes, batch norms, concatenations; values read several times and not
// at all. Whole numbers for data.
Description randomProgram(Random& random, int steps);

// Elements as numbers, whatever the dtype: bytes are whole ones from 0 to 255.
std::vector<std::vector<float>> randomInputs(const Description& description, Random& random);

// The numbers of input `index` in its dtype.
std::vector<unsigned char> memoryOf(const Description& description, size_t index, const std::vector<float>& numbers);

using Outputs = std::vector<std::vector<float>>;

// Bit for bit.
bool isSame(const Outputs& a, const Outputs& b);

struct Way {
  Isa isa = Isa::scalar;
  int threads = 1;
  std::string conv;
  Precision precision = Precision::float32;
  const Bfloat16Kernels* bfloat16 = nullptr;
  size_t partBytes = mostWholeBytes();
};

// As users run it: a session with its arena.
Result<Outputs> runSession(const Description& description, const Way& way,
                           const std::vector<std::vector<float>>& inputs);

// The same steps, but each value, packed constant and scratch memory in a place of its own between guard pages: inputs
// and outputs exactly as long as they are, what the engine allocates itself with the room that it promises
// (executor/arena.cc). `atEnd` chooses the tight side.
Result<Outputs> runGuarded(const Description& description, const Way& way,
                           const std::vector<std::vector<float>>& inputs, bool atEnd);

// The instruction sets of this processor.
std::vector<Isa> usableIsas();

}  // namespace repconv::test
