#include "executor/images.h"

#include <optional>

namespace repconv {
namespace {

constexpr double kMaxImageBytes = 4398046511104.0;  // 2^42

// What maker and readers of a value have said so far.
struct Wish {
  Border border;
  bool isTight = false;
  bool canBeRounded = false;
  std::optional<Format> readAs;  // by all readers; none yet

  void read(Format format) { readAs = readAs.value_or(format) == format ? format : Format::float32; }
  Format format() const { return canBeRounded ? readAs.value_or(Format::float32) : Format::float32; }
};

}  // namespace

Result<std::vector<Image>> layOutImages(const Program& program, const std::vector<ValueType>& types,
                                        const std::vector<ValueType>& largest, const PlanContext& choices) {
  std::vector<Wish> wishes(types.size());
  for (const ProgramStep& step : program.steps) {
    const StepTypes stepTypes = step.typesOf(types), largestTypes = step.typesOf(largest);
    PlanContext context = choices;
    context.types = &stepTypes;
    context.largest = &largestTypes;
    // Before its readers, which come later in the program.
    for (int output : step.outputs) {
      Wish& wish = wishes[static_cast<size_t>(output)];
      wish.isTight = step.operation->producesTight();
      wish.canBeRounded = step.operation->storesRounded(context);
    }
    for (size_t i = 0; i < step.inputs.size(); i++) {
      if (step.inputs[i] == kNoValue) continue;
      Wish& wish = wishes[static_cast<size_t>(step.inputs[i])];
      if (types[static_cast<size_t>(step.inputs[i])].layout != Layout::nhwc) continue;
      wish.border.include(step.operation->border(context, i));
      wish.isTight = wish.isTight && step.operation->acceptsTight(i);
      wish.read(step.operation->readsAs(context, i));
    }
  }
  std::vector<Image> images(types.size());
  for (size_t v = 0; v < types.size(); v++) {
    if (types[v].layout != Layout::nhwc) continue;
    const std::vector<int64_t>& shape = types[v].shape;
    const Border& border = wishes[v].border;
    const double pixels = static_cast<double>(shape[2] + border.top + border.bottom) *
                              static_cast<double>(shape[3] + border.left + border.right) +
                          border.tail;
    const double bytes = 4.0 * static_cast<double>(shape[0]) * (static_cast<double>(shape[1]) + kChannelBlock) * pixels;
    if (bytes > kMaxImageBytes)
      return failure(Code::outOfMemory, "plan: an image of %s with its border is too large", showShape(shape).c_str());
    images[v] = layOut(types[v], wishes[v].format(), border, wishes[v].isTight);
  }
  return images;
}

}  // namespace repconv
