// Convolution in bfloat16, or in pairs of bfloat16 (`bfloat16x3`): dense taps, any kernel size, stride and dilation.
//
//     rows in bfloat16 ── register tiles ──▶ bias, residual, clamp ──▶ float32, or rounded for the next convolution
//
// An image that only such convolutions read is stored rounded (Image::format), and its taps are read where they lie. Of
// any other image a block of output rows rounds what it reads into its own scratch memory, and multiplies at once,
// while that is in the cache of the core that will read it; the few rows that two blocks share are rounded twice. (One
// copy for all would be written by one core and read by the other, and would leave the cache on large images.)
//
// Rounded, channels beyond C are zeros: rows of taps merge into one run whatever C is. Both kernels read the same
// packing (kernels/bfloat16.h); of their steps only the length differs.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "ops/conv/dense.h"

namespace repconv {
namespace {

// What the register tiles of a block read takes at most this share of the second-level cache; a panel of weights lies
// beside it.
constexpr double kCacheShare = 0.4;
constexpr int64_t kMinGroupChannels = 32;
// Register tiles read pixels beyond the last one, as far apart as those before.
constexpr int kMostStride = 64;
// What a vector of sums that comes from an AMX tile costs, in multiply-adds: 2.4 ns of 0.12 (EPYC, Zen 5, with
// instructions of no effect for the tiles').
constexpr double kStoreCost = 20;

bool isUnit(const ConvGeometry& geometry) {
  const ConvAttributes& attributes = geometry.attributes;
  return geometry.taps() == 1 && attributes.stride[0] == 1 && attributes.stride[1] == 1 && geometry.border().isNone() &&
         geometry.outW == geometry.W;
}

// Whether rows fill their strips so badly that the taps of all pixels are better gathered, as rows of one matrix (7×7
// pixels are four strips, not seven).
bool isRagged(const ConvGeometry& geometry, const Bfloat16Kernels& kernels) {
  const int64_t step = kernels.pixelStep;
  return !isUnit(geometry) &&
         4 * roundUp(geometry.outH * geometry.outW, step) < 3 * geometry.outH * roundUp(geometry.outW, step);
}

// The runs of an output pixel, as weights are packed for them.
struct Runs {
  int64_t channels;  // of a tap
  int64_t count, length;
  bool isMerged;  // a run is a row of taps
  bool isPatch;  // all taps are one run, gathered: apart they would be shorter than a step

  Runs(const ConvGeometry& geometry, const Bfloat16Kernels& kernels) {
    const ConvAttributes& attributes = geometry.attributes;
    channels = attributes.groups == 1 && geometry.C >= kChannelBlock ? roundUp(geometry.C, kChannelBlock)
                                                                     : geometry.channelsPerGroup();
    isMerged = attributes.groups == 1 && attributes.dilation[1] == 1;
    count = isMerged ? geometry.K : geometry.taps();
    length = isMerged ? geometry.L * channels : channels;
    isPatch = length < kernels.stepLength;
    if (!isPatch) return;
    channels = geometry.C;
    count = 1;
    length = roundUp(geometry.taps() * channels, kernels.stepLength);
  }
  int64_t steps(const Bfloat16Kernels& kernels) const { return (length + kernels.stepLength - 1) / kernels.stepLength; }
};

// A row's result is the same for every way to cut rows into strips: sums never cross pixels.
class Bfloat16Task : public Task {
 public:
  Bfloat16Task(const ConvPlan& plan, PackedConv packed)
      : in_(plan.in),
        out_(plan.out),
        packed_(std::move(packed)),
        geometry_(plan.geometry),
        kernels_(*plan.context.bfloat16),
        runs_(plan.geometry, kernels_) {
    kernel = kernels_.name;
    packedWeights = packed_.packed;
    isSplit_ = plan.context.precision == Precision::bfloat16x3;
    isCopied_ = in_.format == Format::float32;
    if (plan.residual != nullptr) residual_ = *plan.residual;
    const ConvAttributes& attributes = geometry_.attributes;
    const Border border = geometry_.border();
    if (isCopied_) {
      copyColumns_ = border.left + geometry_.W + border.right;
      rounded_.pixel = attributes.groups == 1 ? runs_.channels : roundUp(geometry_.C, kChannelBlock);
      rounded_.row = copyColumns_ * rounded_.pixel;
      // Rows a multiple of 4 KB apart fall into the same cache sets.
      if (!isUnit(geometry_) && rounded_.row % 2048 == 0) rounded_.row += 32;
    } else {
      rounded_ = {in_.pixel, in_.row, in_.low};
    }
    const bool isDense = out_.isDense() && (plan.residual == nullptr || residual_.isDense());
    // Few channels may come with room beside them, which their runs have not.
    const bool isTight = attributes.groups > 1 || rounded_.pixel == runs_.channels;
    isGathered_ = runs_.isPatch || !isTight || (isDense && isRagged(geometry_, kernels_));
    isOneRow_ = isDense && (isGathered_ || (isUnit(geometry_) && (isCopied_ || in_.isDense())));
    const bool isRow = runs_.isMerged && isTight;
    for (int64_t u = 0; u < geometry_.K; u++) {
      for (int64_t v = 0; v < (isRow ? 1 : geometry_.L); v++)
        taps_.push_back(u * attributes.dilation[0] * rounded_.row + v * attributes.dilation[1] * rounded_.pixel);
    }
    offsets_ = taps_;
    if (isGathered_) {
      // The channels of all groups together.
      tapSize_ = attributes.groups == 1 ? runs_.channels * (isRow ? geometry_.L : 1) : rounded_.pixel;
      const int64_t count = static_cast<int64_t>(taps_.size());
      matrixPixel_ = runs_.isPatch ? runs_.length : count * tapSize_;
      offsets_.resize(static_cast<size_t>(runs_.count));
      for (size_t r = 0; r < offsets_.size(); r++)
        offsets_[r] = static_cast<ptrdiff_t>(r) * count / runs_.count * tapSize_;
    }
    split(plan.context.threads);
  }

  void run(const RunContext& context) const override {
    const size_t panels = packed_.plan.panels.size();
    if (split_.panelBlocks > 1) {
      const size_t blocks = static_cast<size_t>(split_.panelBlocks);
      context.team.parallelFor(blocks, [&](size_t item, int member) {
        for (int64_t n = 0; n < geometry_.N; n++)
          computeBlock(context, n, 0, geometry_.outH, panels * item / blocks, panels * (item + 1) / blocks, member);
      });
      if (geometry_.attributes.epilogue.isClamp() && out_.border.isNone()) return;
      context.team.parallelFor(static_cast<size_t>(geometry_.N),
                               [&](size_t n, int) { finish(context, static_cast<int64_t>(n), 0, geometry_.outH); });
      return;
    }
    const int64_t blocks = split_.rowBlocks;
    context.team.parallelFor(static_cast<size_t>(geometry_.N * blocks), [&](size_t item, int member) {
      const int64_t n = static_cast<int64_t>(item) / blocks, block = static_cast<int64_t>(item) % blocks;
      const int64_t begin = geometry_.outH * block / blocks, end = geometry_.outH * (block + 1) / blocks;
      computeBlock(context, n, begin, end, 0, panels, member);
      finish(context, n, begin, end);
    });
  }

 private:
  // Rounded pixels, in the image or in a block's copy; in elements.
  struct Rounded {
    ptrdiff_t pixel, row, low;
  };
  // What the register tiles read: from the first tap of a block's first output.
  struct Source {
    const uint16_t* in;
    ptrdiff_t row, pixel, low;
  };

  int64_t parts() const { return isSplit_ ? 2 : 1; }
  int64_t rowsRead(int64_t rows) const {
    return (rows - 1) * geometry_.attributes.stride[0] + (geometry_.K - 1) * geometry_.attributes.dilation[0] + 1;
  }

  void split(int threads) {
    const int64_t matrixRow = isGathered_ ? geometry_.outW * matrixPixel_ : 0;
    // What register tiles read: it passes once for each panel.
    const auto bytesOf = [&](int64_t rows) {
      return static_cast<size_t>((isGathered_ ? rows * matrixRow : rowsRead(rows) * rounded_.row) * parts()) *
             sizeof(uint16_t);
    };
    split_ = splitWork({geometry_.N, geometry_.outH, packed_.plan.panels.size(),
                        packed_.plan.weightFloats * sizeof(float), bytesOf(geometry_.outH)},
                       threads);
    int64_t rows = geometry_.outH;
    if (split_.panelBlocks == 1) {
      const double most = kCacheShare * static_cast<double>(cpuInfo().l2Bytes);
      const int64_t needed = static_cast<int64_t>(std::ceil(static_cast<double>(bytesOf(geometry_.outH)) / most));
      // Whole rounds: as many blocks for each thread as for the others.
      if (needed > split_.rowBlocks)
        split_.rowBlocks = std::min<int64_t>((needed + threads - 1) / threads * threads, geometry_.outH);
      rows = (geometry_.outH + split_.rowBlocks - 1) / std::max<int64_t>(split_.rowBlocks, 1);
    }
    // A strip is read as a whole, beyond its last pixel too; of an image, into its tail.
    const int64_t pixel = isGathered_ ? matrixPixel_ : geometry_.attributes.stride[1] * rounded_.pixel,
                  beyond = kernels_.pixelStep * pixel + runs_.length;
    if (isCopied_) copySize_ = roundUp(rowsRead(rows) * rounded_.row + (isGathered_ ? 0 : beyond), 32);
    if (isCopied_) rounded_.low = copySize_;
    if (isGathered_) matrixSize_ = roundUp(rows * matrixRow + std::max<int64_t>(beyond, 32), 32);
    memberScratchBytes = static_cast<size_t>((copySize_ + matrixSize_) * parts()) * sizeof(uint16_t);
  }

  // Output rows begin … end − 1 of image n, for some panels.
  void computeBlock(const RunContext& context, int64_t n, int64_t begin, int64_t end, size_t panelBegin,
                    size_t panelEnd, int member) const {
    if (begin == end) return;
    uint16_t* copy = context.scratch<uint16_t>(member);
    const ConvAttributes& attributes = geometry_.attributes;
    const int64_t top = begin * attributes.stride[0] - attributes.padding[0];
    Source source{copy, attributes.stride[0] * rounded_.row, attributes.stride[1] * rounded_.pixel, rounded_.low};
    if (isCopied_) {
      for (int64_t y = 0; y < rowsRead(end - begin); y++)
        narrowRow(in_.at(context.input(0), n, top + y, -attributes.padding[1]), copy + y * rounded_.row);
    } else {
      source.in = in_.at(static_cast<const uint16_t*>(context.inputs[0]), n, top, -attributes.padding[1]);
    }
    if (isGathered_) source = gather(source, copy + copySize_ * parts(), end - begin);
    Bfloat16Work work;
    kernels_.begin(work);
    const auto weightsOf = [this](size_t index) { return packed_.packed + packed_.plan.panels[index].weightOffset; };
    for (size_t index = panelBegin; index < panelEnd; index++)
      computePanel(context, n, begin, end, index, source,
                   index + 1 < panelEnd ? weightsOf(index + 1) : context.following, work);
    kernels_.end(work);
  }

  Source gather(const Source& source, uint16_t* matrix, int64_t rows) const {
    Bfloat16Patches patches{};
    patches.inPixel = source.pixel;
    patches.offsets = taps_.data();
    patches.count = static_cast<int64_t>(taps_.size());
    patches.size = tapSize_;
    patches.outPixel = matrixPixel_;
    patches.pixels = geometry_.outW;
    for (int64_t part = 0; part < parts(); part++) {
      for (int64_t y = 0; y < rows; y++) {
        patches.in = source.in + part * source.low + y * source.row;
        patches.out = matrix + part * matrixSize_ + y * geometry_.outW * matrixPixel_;
        kernels_.gather(patches);
      }
    }
    return {matrix, geometry_.outW * matrixPixel_, matrixPixel_, matrixSize_};
  }

  void narrowRow(const float* from, uint16_t* to) const {
    uint16_t* low = isSplit_ ? to + copySize_ : nullptr;
    if (in_.pixel == geometry_.C && rounded_.pixel == geometry_.C) {
      kernels_.narrow(to, low, from, static_cast<size_t>(copyColumns_ * geometry_.C));
      return;
    }
    const size_t channels = static_cast<size_t>(geometry_.C), rest = static_cast<size_t>(rounded_.pixel) - channels;
    for (int64_t x = 0; x < copyColumns_; x++, from += in_.pixel, to += rounded_.pixel) {
      kernels_.narrow(to, low, from, channels);
      std::memset(to + channels, 0, rest * sizeof(uint16_t));
      if (low == nullptr) continue;
      std::memset(low + channels, 0, rest * sizeof(uint16_t));
      low += rounded_.pixel;
    }
  }

  // `next`: weights that are read after this panel's; null: unknown.
  void computePanel(const RunContext& context, int64_t n, int64_t begin, int64_t end, size_t index,
                    const Source& source, const float* next, Bfloat16Work& work) const {
    const ConvAttributes& attributes = geometry_.attributes;
    const Panel& panel = packed_.plan.panels[index];
    const bool isLast =
        index + 1 == packed_.plan.panels.size() && panel.firstChannel + panel.vectors * kBfloat16Lanes <= out_.pixel;
    Bfloat16Tile tile{};
    tile.pixelStride = source.pixel;
    tile.lowPlane = source.low;
    tile.runOffsets = offsets_.data();
    tile.runCount = static_cast<int>(runs_.count);
    tile.runLength = static_cast<int>(runs_.length);
    tile.vectors = panel.vectors;
    tile.weights = reinterpret_cast<const uint16_t*>(packed_.packed + panel.weightOffset);
    tile.bias = packed_.packed + packed_.plan.weightFloats + panel.biasOffset;
    tile.outFormat = out_.format;
    tile.outPixelStride = out_.pixel;
    tile.outLowPlane = out_.low;
    tile.residualPixelStride = residual_.pixel;
    tile.lastChannels = panel.lastLanes(kBfloat16Lanes);
    tile.lastLanes = isLast ? kBfloat16Lanes : tile.lastChannels;
    tile.low = attributes.epilogue.low();
    tile.high = attributes.epilogue.high();
    const int64_t rows = isOneRow_ ? 1 : end - begin,
                  columns = isOneRow_ ? (end - begin) * geometry_.outW : geometry_.outW;
    const int64_t most = kernels_.tilePixels[panel.vectors];
    // Strips are of nearly equal width, but for kernels that take a whole step's time anyway.
    const int64_t strips = (columns + most - 1) / most;
    const float* residual = context.inputs[3] != nullptr ? context.input(3) : nullptr;
    // As much of what comes next, some with each tile.
    const uint16_t* const ahead = reinterpret_cast<const uint16_t*>(next);
    const int64_t aheadSize = next == nullptr ? 0 : packed_.plan.depth * 2 * kBfloat16Lanes * panel.vectors;
    const int64_t perTile = runs_.count * runs_.steps(kernels_) * kernels_.prefetchLines * parts() *
                            static_cast<int64_t>(kCacheLineBytes / sizeof(uint16_t));
    int64_t fetched = 0;
    int held = 0;
    for (int64_t y = 0; y < rows; y++) {
      for (int64_t s = 0; s < strips; s++) {
        const int64_t x = kernels_.pixelStep > 1 ? s * most : columns * s / strips;
        const int64_t xEnd = kernels_.pixelStep > 1 ? std::min(columns, x + most) : columns * (s + 1) / strips;
        Bfloat16Tile::Strip& strip = tile.strips[held++];
        strip.in = source.in + y * source.row + x * source.pixel + panel.group * geometry_.channelsPerGroup();
        strip.out = outAt(context, n, begin + y, x, panel.firstChannel);
        strip.residual = residual == nullptr ? nullptr : residual_.at(residual, n, begin + y, x) + panel.firstChannel;
        strip.pixels = static_cast<int>(xEnd - x);
        if (held < kernels_.strips && !(y + 1 == rows && s + 1 == strips)) continue;
        if (held < kBfloat16Strips) tile.strips[held].pixels = 0;
        tile.prefetch = fetched < aheadSize ? ahead + fetched : tile.weights;
        fetched += perTile;
        kernels_.multiply[isSplit_](work, tile);
        held = 0;
      }
    }
  }

  void* outAt(const RunContext& context, int64_t n, int64_t y, int64_t x, int64_t channel) const {
    if (out_.format == Format::float32) return out_.at(context.output(), n, y, x) + channel;
    return out_.at(static_cast<uint16_t*>(context.outputs[0]), n, y, x) + channel;
  }

  void finish(const RunContext& context, int64_t n, int64_t begin, int64_t end) const {
    // Rounded outputs have no activation but a clamp (storesRounded in conv.cc).
    if (out_.format == Format::float32)
      activateRows(context.kernels, geometry_.attributes.epilogue, out_, context.output(), n, begin, end);
    clearBorder(out_, context.outputs[0], n, begin, end);
  }

  Image in_, out_, residual_;
  PackedConv packed_;
  ConvGeometry geometry_;
  const Bfloat16Kernels& kernels_;
  Runs runs_;
  std::vector<ptrdiff_t> taps_, offsets_;  // where taps lie, rounded; and runs, in what the register tiles read
  WorkSplit split_;
  bool isSplit_ = false;
  bool isCopied_ = false;  // a block rounds what it reads
  bool isGathered_ = false;
  bool isOneRow_ = false;  // a block's pixels are one row, in the source and in memory
  Rounded rounded_{};
  int64_t copyColumns_ = 0, copySize_ = 0;
  int64_t tapSize_ = 0, matrixPixel_ = 0, matrixSize_ = 0;  // of what is gathered
};

// To nearest even; a NaN stays one.
uint16_t toBfloat16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if (std::isnan(value)) return static_cast<uint16_t>(bits >> 16 | 0x40);
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

float toFloat(uint16_t value) { return std::bit_cast<float>(static_cast<uint32_t>(value) << 16); }

// [panel][run][step][stepLength / 2][high, low][vectors · 16][2], then the biases.
void packBfloat16(const ConvPlan& conv, const PanelPlan& plan, bool isSplit, float* packed) {
  const ConvGeometry& geometry = conv.geometry;
  const Runs runs(geometry, *conv.context.bfloat16);
  const int64_t length = conv.context.bfloat16->stepLength, perGroup = geometry.channelsPerGroup(),
                taps = geometry.taps();
  const int64_t tapsPerRun = runs.isMerged && !runs.isPatch ? geometry.L : 1;
  std::memset(packed, 0, plan.sizeBytes());
  for (const Panel& panel : plan.panels) {
    const int64_t partSize = panel.vectors * 2 * kBfloat16Lanes, row = partSize * (isSplit ? 2 : 1);
    uint16_t* to = reinterpret_cast<uint16_t*>(packed + panel.weightOffset);
    for (int64_t run = 0; run < runs.count; run++) {
      for (int64_t step = 0; step < runs.steps(*conv.context.bfloat16); step++, to += length / 2 * row) {
        const int64_t first = step * length, begin = std::min(first, runs.length - length);
        for (int64_t k = first; k < begin + length; k++) {
          const int64_t c = k % runs.channels, tap = run * tapsPerRun + k / runs.channels;
          if (c >= perGroup || tap >= taps) continue;
          const float* weight = conv.weight + (panel.firstChannel * perGroup + c) * taps + tap;
          uint16_t* at = to + (k - begin) / 2 * row + (k - begin) % 2;
          for (int o = 0; o < panel.channels; o++, weight += perGroup * taps, at += 2) {
            *at = toBfloat16(*weight);
            if (isSplit && std::isfinite(toFloat(*at))) at[partSize] = toBfloat16(*weight - toFloat(*at));
          }
        }
      }
    }
    if (conv.bias != nullptr)
      std::copy_n(conv.bias + panel.firstChannel, panel.channels, packed + plan.weightFloats + panel.biasOffset);
  }
}

Result<std::unique_ptr<Task>> planBfloat16(const ConvPlan& plan) {
  const ConvGeometry& geometry = plan.geometry;
  const Bfloat16Kernels& kernels = *plan.context.bfloat16;
  const bool isSplit = plan.context.precision == Precision::bfloat16x3;
  const Runs runs(geometry, kernels);
  PackedConv result;
  // A pair of bfloat16 takes the room of one float.
  const int64_t depth = runs.count * runs.steps(kernels) * kernels.stepLength / 2 * (isSplit ? 2 : 1);
  result.plan =
      planPanels(kBfloat16Lanes, kernels.maxVectors, geometry.attributes.groups, geometry.outputsPerGroup(), depth);
  Result<const void*> packed = plan.context.packed("bfloat16", result.plan.sizeBytes(), [&](void* to) {
    packBfloat16(plan, result.plan, isSplit, static_cast<float*>(to));
  });
  if (!packed.isOk()) return packed.status();
  result.packed = static_cast<const float*>(packed.value());
  return std::unique_ptr<Task>(new Bfloat16Task(plan, std::move(result)));
}

// A group's channels are runs of their own: at least a step, and pairs must not cross groups.
bool isBfloat16(const ConvGeometry& geometry) {
  if (geometry.attributes.stride[1] > kMostStride) return false;
  return geometry.attributes.groups == 1 ||
         (geometry.channelsPerGroup() >= kMinGroupChannels && geometry.channelsPerGroup() % 2 == 0);
}

template <bool kIsSplit>
double bfloat16Cost(const ConvGeometry& geometry, const PlanContext& context) {
  const Bfloat16Kernels& kernels = *context.bfloat16;
  const ConvAttributes& attributes = geometry.attributes;
  const Runs runs(geometry, kernels);
  const int64_t vectors = (geometry.outputsPerGroup() + kBfloat16Lanes - 1) / kBfloat16Lanes;
  const int64_t panelVectors = std::min<int64_t>(vectors, kernels.maxVectors), most = kernels.tilePixels[panelVectors];
  const bool isOneRow = isUnit(geometry) || isRagged(geometry, kernels);
  const int64_t columns = isOneRow ? geometry.outH * geometry.outW : geometry.outW,
                rows = isOneRow ? geometry.N : geometry.N * geometry.outH;
  const int64_t strips = (columns + most - 1) / most;
  // As in tileRowCost: fewer than eight sums at a time leave the unit waiting. A strip of less than a step takes as
  // long as a step.
  const double perStrip =
      kernels.pixelStep > 1
          ? static_cast<double>(panelVectors * kernels.pixelStep)
          : std::max(static_cast<double>(panelVectors * columns) / static_cast<double>(std::max<int64_t>(strips, 1)),
                     8.0) +
                0.5 * static_cast<double>(panelVectors);
  double perTile =
      perStrip * static_cast<double>(runs.count * runs.steps(kernels)) * kernels.stepCost * (kIsSplit ? 3 : 1);
  // Sums that are on their way to memory while the next tile is multiplied may take longer than that.
  if (kernels.pixelStep > 1) perTile = std::max(perTile, perStrip * kStoreCost * (kIsSplit ? 2 : 1));
  const double products =
      perTile * static_cast<double>(rows * attributes.groups * strips * vectors) / static_cast<double>(panelVectors);
  // Rounding, and gathering: as copying does in im2col, two multiply-adds' time for each vector. (An image may come
  // rounded; the choice does not know.)
  const int64_t patch = runs.isPatch ? (geometry.K * geometry.L * geometry.C + 2 * kBfloat16Lanes * geometry.K) / 2 : 0;
  const double moved = static_cast<double>(geometry.N * geometry.H * geometry.W * geometry.C +
                                           geometry.N * geometry.outH * geometry.outW * patch);
  return std::max(products, weightCost(context.kernels, geometry.O * geometry.taps() * geometry.channelsPerGroup()) *
                                (kIsSplit ? 1 : 0.5)) +
         (kIsSplit ? 4.0 : 2.0) * moved / kBfloat16Lanes;
}

}  // namespace

const ConvAlgorithm kBfloat16Conv = {"bfloat16",   isBfloat16,          bfloat16Cost<false>,
                                     planBfloat16, Precision::bfloat16, Format::bfloat16};
const ConvAlgorithm kBfloat16x3Conv = {"bfloat16x3",          isBfloat16,        bfloat16Cost<true>, planBfloat16,
                                       Precision::bfloat16x3, Format::bfloat16x2};

}  // namespace repconv
