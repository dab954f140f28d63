// normalizeBytes: a decoded image, one byte per channel, becomes the image that the first layer reads:
//
//     out[n][c][y][x] = (in[n][y][x][c] / 255 − mean[c]) / std[c]
//
// in is [N, H, W, C] in bytes, out [N, C, H, W], nhwc with its border.
//
// A byte has 256 values, so each channel has a table of 256 results, filled once. They are rounded as torchvision's
// ToTensor and Normalize round,
// after each of the three float32 operations; looking them up gives the same bits with every instruction set. (A vector
// division per element is no faster: two divisions cost what two loads do.)
#include "ops/operation.h"
#include "ops/parallel.h"
#include "ops/rounded_rows.h"

namespace repconv {
namespace {

constexpr int64_t kByteValues = 256;

// A row of pixels of kChannels channels (0: of as many as there are).
template <int kChannels>
void convertRow(float* out, ptrdiff_t pixel, const uint8_t* in, const float* table, int64_t channels, int64_t pixels) {
  const int64_t count = kChannels > 0 ? kChannels : channels;
  for (int64_t x = 0; x < pixels; x++) {
    for (int64_t c = 0; c < count; c++) out[x * pixel + c] = table[c * kByteValues + in[x * count + c]];
  }
}

class NormalizeTask : public Task {
 public:
  NormalizeTask(const Image& image, const float* table, const Bfloat16Kernels* bfloat16)
      : image_(image), table_(table), bfloat16_(bfloat16) {
    memberScratchBytes = rowScratchBytes(image);
  }

  void run(const RunContext& context) const override {
    const uint8_t* bytes = static_cast<const uint8_t*>(context.inputs[0]);
    const auto convert = image_.C == 3 ? convertRow<3> : image_.C == 1 ? convertRow<1> : convertRow<0>;
    forRows(context.team, image_, [&](int64_t n, int64_t y, int member) {
      writeRow(image_, bfloat16_, context.outputs[0], n, y, context.scratch<float>(member), [&](float* row) {
        convert(row, image_.pixel, bytes + (n * image_.H + y) * image_.W * image_.C, table_, image_.C, image_.W);
      });
      clearBorder(image_, context.outputs[0], n, y, y + 1);
    });
  }

 private:
  Image image_;
  const float* table_;
  const Bfloat16Kernels* bfloat16_;
};

class NormalizeBytes : public Operation {
 public:
  Status check(const StepTypes& types) const override {
    const ValueType* bytes = types.input(0);
    const ValueType* image = types.outputs.size() == 1 ? types.outputs[0] : nullptr;
    bool isRight =
        bytes != nullptr && image != nullptr && bytes->dtype == DType::uint8 && bytes->layout == Layout::plain &&
        bytes->shape.size() == 4 && image->dtype == DType::float32 && image->layout == Layout::nhwc &&
        image->shape == std::vector<int64_t>{bytes->shape[0], bytes->shape[3], bytes->shape[1], bytes->shape[2]};
    for (size_t parameter : {1, 2}) {
      const ValueType* type = types.input(parameter);
      isRight = isRight && type != nullptr && type->dtype == DType::float32 && type->layout == Layout::plain &&
                type->shape == std::vector<int64_t>{bytes->shape[3]};
    }
    return isRight ? Status()
                   : failure(Code::shape,
                             "normalizeBytes: expects bytes [N,H,W,C], a mean and a standard deviation [C], and makes "
                             "an nhwc image [N,C,H,W]");
  }
  bool reads(size_t index, DType dtype) const override { return dtype == (index == 0 ? DType::uint8 : DType::float32); }
  bool packs(size_t index) const override { return index > 0; }
  bool producesTight() const override { return true; }
  bool storesRounded(const PlanContext&) const override { return true; }
  bool isPerImage() const override { return true; }
  Result<std::unique_ptr<Task>> plan(const PlanContext& context) const override {
    const float *mean = context.constant(1), *deviation = context.constant(2);
    if (mean == nullptr || deviation == nullptr)
      return failure(Code::unsupported, "normalizeBytes: mean and standard deviation have to be constants");
    const Image& image = *context.outputImages[0];
    Result<const void*> table =
        context.packed("bytes", static_cast<size_t>(image.C * kByteValues) * sizeof(float), [&](void* memory) {
          float* to = static_cast<float*>(memory);
          for (int64_t c = 0; c < image.C; c++) {
            for (int64_t value = 0; value < kByteValues; value++)
              to[c * kByteValues + value] = (static_cast<float>(value) / 255.0f - mean[c]) / deviation[c];
          }
        });
    if (!table.isOk()) return table.status();
    auto task = std::make_unique<NormalizeTask>(image, static_cast<const float*>(table.value()), context.bfloat16);
    task->algorithm = "table";
    return std::unique_ptr<Task>(std::move(task));
  }
};

}  // namespace

Result<std::unique_ptr<Operation>> makeNormalizeBytes(const Attributes&) {
  return std::unique_ptr<Operation>(new NormalizeBytes);
}

}  // namespace repconv
