// Winograd convolution, 3×3 at stride 1: F(2×2) spends 16 multiplications where direct convolution spends 36, F(4×4) 36
// for 144.
//
//     tiles of t×t pixels ── Bᵀ d B ──▶ V [ξ][tile][c] ─┐
//                                                       ├─ one product per point ξ ──▶ M [ξ][tile][o]
//     3×3 kernels ─────────── G g Gᵀ ──▶ U [ξ][c][o] ───┘               │
//                                                                   Aᵀ M A + bias ──▶ m×m pixels
//
// A block of tiles is transformed into V; then, panel by panel, stretch by stretch of channels, the kernels are
// transformed into U, which stays in the second-level cache while all points use it. Transforming kernels in each run
// is cheaper than reading them transformed: they are four times as many, and a network of such layers leaves every
// cache (192 → 192 channels at 14×14 in RepVGG-A0: 0.30 ms with U from memory, 0.24 so; EPYC, Zen 5). And a session
// keeps weights of the size that they have in the model.
#include <algorithm>

#include "ops/conv/dense.h"

namespace repconv {
namespace {

// Tiles of a block, at most: each block transforms the kernels anew, and tiles beyond what the second-level cache holds
// of V cost less than that. (8 images of 192 channels at 14×14, in ms: 16 tiles 2.00, 32 1.76, 64 1.70, 128 1.55; 512
// channels: 48 tiles 13.1, 64 12.2, 128 11.8; in AVX2 32 tiles 3.5, 128 3.2. Making U once for all blocks, in memory
// that threads share, was as fast on one thread and a third slower on two. EPYC, Zen 5, 1 MB.)
constexpr int64_t kMinBlockTiles = 32, kMaxBlockTiles = 128;
// V and M of more channels take less than that: scratch memory is there once for each thread.
constexpr double kMostBytes = 8 << 20;

// Products are summed in stretches of at most this many channels, and the stretches then: the error of a long sum is
// most of the error of F(4×4) (192 channels: 1.3e-6 rms in one stretch, 0.8e-6 in three).
constexpr int64_t kMaxStretch = 64;

constexpr int kTaps = 9;

// Tiles along an axis: whole ones, and at its end a short one, where F(4×4) needs no more than two outputs
// (kernels/table.h).
struct Axis {
  int64_t whole, isShort;

  Axis(int64_t extent, int outputs) {
    const int64_t rest = extent % outputs;
    isShort = outputs == 4 && (rest == 1 || rest == 2);
    whole = (extent + outputs - 1) / outputs - isShort;
  }
  int64_t count() const { return whole + isShort; }
};

// The tiles of a batch, kind by kind, so that those that have a point are neighbours, whichever point it is:
//
//     short rows │ whole │ short columns │ short rows and columns
//     ├ at ±√2 in a row ─┤       ├ at ±√2 in a column: the two in the middle; at both: whole ones; at neither: all
class Tiles {
 public:
  static constexpr int kKinds = 4;

  Tiles(int64_t images, int64_t height, int64_t width, int outputs)
      : down_(height, outputs), across_(width, outputs), outputs_(outputs) {
    const int64_t counts[kKinds] = {down_.isShort * across_.whole, down_.whole * across_.whole,
                                    down_.whole * across_.isShort, down_.isShort * across_.isShort};
    for (int kind = 0; kind < kKinds; kind++) ends_[kind] = (kind > 0 ? ends_[kind - 1] : 0) + images * counts[kind];
  }

  int64_t count() const { return ends_[kKinds - 1]; }

  struct Tile {
    int64_t n, y, x;  // of its first output
    WinogradShortness isShort;
  };
  Tile at(int64_t tile) const {
    int kind = 0;
    while (tile >= ends_[kind]) kind++;
    if (kind > 0) tile -= ends_[kind - 1];
    const WinogradShortness isShort{kind == 0 || kind == 3, kind >= 2};
    const int64_t columns = isShort.columns ? 1 : across_.whole, perImage = (isShort.rows ? 1 : down_.whole) * columns;
    const int64_t y = isShort.rows ? down_.whole : tile % perImage / columns,
                  x = isShort.columns ? across_.whole : tile % columns;
    return {tile / perImage, y * outputs_, x * outputs_, isShort};
  }

  // The tiles among begin … end − 1 that have the point (u, v).
  struct Range {
    int64_t begin, end;
  };
  Range having(int u, int v, int64_t begin, int64_t end) const {
    const auto isFar = [this](int i) { return outputs_ == 4 && (i == 3 || i == 4); };
    const int64_t from = isFar(u) ? ends_[0] : 0, to = isFar(v) ? ends_[1] : isFar(u) ? ends_[2] : ends_[3];
    return {std::clamp(from, begin, end), std::clamp(to, begin, end)};
  }

 private:
  Axis down_, across_;
  int outputs_;
  int64_t ends_[kKinds] = {};
};

// Floats between one point and the next: an odd number of cache lines, so that the points of a tile fall into different
// cache sets.
ptrdiff_t pointStride(int64_t tiles, int64_t floats) {
  const size_t lineFloats = kCacheLineBytes / sizeof(float);
  const size_t lines = roundUp(static_cast<size_t>(tiles * floats), lineFloats) / lineFloats;
  return static_cast<ptrdiff_t>((lines | 1) * lineFloats);
}

int64_t mostBlockTiles(int64_t channels, int points, int vectorLength) {
  const double bytesPerTile =
      static_cast<double>(points * (channels + kMaxPanelVectors * vectorLength)) * sizeof(float);
  return std::clamp<int64_t>(static_cast<int64_t>(kMostBytes / bytesPerTile), kMinBlockTiles, kMaxBlockTiles);
}

class WinogradTask : public Task {
 public:
  WinogradTask(const ConvPlan& plan, PackedConv packed, int outputs)
      : in_(plan.in),
        out_(plan.out),
        packed_(std::move(packed)),
        geometry_(plan.geometry),
        outputs_(outputs),
        side_(outputs + 2),
        tiles_(geometry_.N, geometry_.outH, geometry_.outW, outputs) {
    if (plan.residual != nullptr) residual_ = *plan.residual;
    packedWeights = packed_.packed;
    split(mostBlockTiles(in_.pixel, points(), plan.context.kernels.vectorLength), plan.context.threads);
    for (const Panel& panel : packed_.plan.panels)
      panelFloats_ = std::max<int64_t>(panelFloats_, panel.vectors * plan.context.kernels.vectorLength);
    stretches_ = (geometry_.channelsPerGroup() + kMaxStretch - 1) / kMaxStretch;
    for (int64_t s = 0; s < stretches_; s++)
      patterns_.push_back({{0}, static_cast<int>(stretchBegin(s + 1) - stretchBegin(s)), 0});
    const int64_t blockTiles = (tiles_.count() + blocks_ - 1) / blocks_;
    inputStride_ = pointStride(blockTiles, in_.pixel);
    weightStride_ = pointStride((geometry_.channelsPerGroup() + stretches_ - 1) / stretches_, panelFloats_);
    productStride_ = pointStride(blockTiles, panelFloats_);
    const ptrdiff_t floats = points() * (inputStride_ + weightStride_ + productStride_) + in_.pixel + panelFloats_;
    memberScratchBytes = roundUp(static_cast<size_t>(floats) * sizeof(float), kCacheLineBytes);
  }

  void run(const RunContext& context) const override {
    const int64_t panels = static_cast<int64_t>(packed_.plan.panels.size());
    context.team.parallelFor(static_cast<size_t>(blocks_ * panelBlocks_), [&](size_t item, int member) {
      const int64_t block = static_cast<int64_t>(item) / panelBlocks_, part = static_cast<int64_t>(item) % panelBlocks_;
      const int64_t begin = tiles_.count() * block / blocks_, end = tiles_.count() * (block + 1) / blocks_;
      computeBlock(context, begin, end, panels * part / panelBlocks_, panels * (part + 1) / panelBlocks_,
                   context.scratch<float>(member));
    });
    if (out_.border.isNone()) return;
    context.team.parallelFor(static_cast<size_t>(geometry_.N), [&](size_t n, int) {
      clearBorder(out_, context.output(), static_cast<int64_t>(n), 0, out_.H);
    });
  }

 private:
  int points() const { return side_ * side_; }
  int64_t stretchBegin(int64_t stretch) const { return geometry_.channelsPerGroup() * stretch / stretches_; }

  // A block's tiles for all panels, so that V is made once; or few tiles for a share of the panels, so that U is.
  // Transforming a kernel costs a quarter of transforming a tile's channel.
  void split(int64_t mostTiles, int64_t threads) {
    const int64_t panels = static_cast<int64_t>(packed_.plan.panels.size());
    blocks_ = std::max<int64_t>((tiles_.count() + mostTiles - 1) / mostTiles, 1);
    const bool isEven = panels % threads == 0 || panels >= 4 * threads;
    if (blocks_ == 1 && isEven && geometry_.O > 4 * tiles_.count()) {
      panelBlocks_ = threads;
      return;
    }
    // Whole rounds of equal blocks, and no block so small that a register tile stays empty.
    blocks_ = std::min((blocks_ + threads - 1) / threads * threads, std::max<int64_t>((tiles_.count() + 3) / 4, 1));
  }

  void computeBlock(const RunContext& context, int64_t begin, int64_t end, int64_t panelBegin, int64_t panelEnd,
                    float* scratch) const {
    float* inputs = scratch;
    float* weights = inputs + points() * inputStride_;
    float* products = weights + points() * weightStride_;
    float* zeros = products + points() * productStride_;
    std::fill_n(zeros, std::max<int64_t>(in_.pixel, panelFloats_), 0.0f);
    for (int64_t tile = begin; tile < end; tile++)
      transformInput(context, tiles_.at(tile), zeros, inputs + (tile - begin) * in_.pixel);
    for (int64_t index = panelBegin; index < panelEnd; index++) {
      const Panel& panel = packed_.plan.panels[static_cast<size_t>(index)];
      for (int64_t stretch = 0; stretch < stretches_; stretch++) {
        const bool isLast = index + 1 == panelEnd && stretch + 1 == stretches_;
        // The next step is most often cut as this one.
        const float* following =
            isLast && context.following != nullptr
                ? context.following + packed_.plan.panels[static_cast<size_t>(panelBegin)].weightOffset
                : nullptr;
        multiply(context.kernels, panel, stretch, begin, end, inputs, zeros, weights, products, following);
      }
      for (int64_t tile = begin; tile < end; tile++) {
        transformOutput(context, panel, tiles_.at(tile),
                        products + (tile - begin) * panel.vectors * context.kernels.vectorLength);
      }
    }
  }

  // Pixels beyond the padding are zeros that lie elsewhere.
  void transformInput(const RunContext& context, const Tiles::Tile& at, const float* zeros, float* to) const {
    const int64_t top = at.y - geometry_.attributes.padding[0], left = at.x - geometry_.attributes.padding[1];
    WinogradInput tile;
    tile.out = to;
    tile.isShort = at.isShort;
    tile.pointStride = inputStride_;
    tile.channels = in_.pixel;
    for (int u = 0; u < side_; u++) {
      const int64_t y = top + u;
      const bool isRow = y < in_.H + in_.border.bottom;
      const float* row = in_.at(context.input(0), at.n, y, left);
      for (int v = 0; v < side_; v++)
        tile.taps[u * side_ + v] = isRow && left + v < in_.W + in_.border.right ? row + v * in_.pixel : zeros;
    }
    context.kernels.winogradInput[outputs_](tile);
  }

  // What a stretch of channels adds to the panel's products, for some tiles. `following`: weights that are read next;
  // null: those behind these.
  void multiply(const KernelTable& kernels, const Panel& panel, int64_t stretch, int64_t tileBegin, int64_t tileEnd,
                const float* inputs, const float* zeros, float* weights, float* products,
                const float* following) const {
    const int64_t depth = geometry_.channelsPerGroup(), begin = stretchBegin(stretch), end = stretchBegin(stretch + 1);
    const int width = panel.vectors * kernels.vectorLength;
    const float* untransformed = packed_.packed + panel.weightOffset + begin * kTaps * width;
    const int64_t floats = (end - begin) * kTaps * width;
    kernels.winogradWeights[outputs_]({untransformed, weights, weightStride_, end - begin, panel.vectors});
    Grid grid{};
    grid.inPixel = in_.pixel;
    grid.outPixel = grid.residualPixel = width;
    grid.rows = 1;
    for (int point = 0; point < points(); point++) {
      const Tiles::Range tiles = tiles_.having(point / side_, point % side_, tileBegin, tileEnd);
      grid.columns = tiles.end - tiles.begin;
      grid.in = inputs + point * inputStride_ + (tiles.begin - tileBegin) * in_.pixel + panel.group * depth + begin;
      grid.out = products + point * productStride_ + (tiles.begin - tileBegin) * width;
      grid.residual = stretch == 0 ? nullptr : grid.out;
      const float* next = (following != nullptr ? following : untransformed + floats) + floats * point / points();
      const PanelWeights transformed{
          weights + point * weightStride_, zeros, panel.vectors, kernels.vectorLength, next, floats / points()};
      computePanel(kernels, grid, patterns_[static_cast<size_t>(stretch)], transformed, Epilogue{});
    }
  }

  void transformOutput(const RunContext& context, const Panel& panel, const Tiles::Tile& at, const float* from) const {
    const Epilogue& epilogue = geometry_.attributes.epilogue;
    WinogradOutput tile;
    tile.in = from;
    tile.pointStride = productStride_;
    tile.bias = packed_.packed + packed_.plan.weightFloats + panel.biasOffset;
    tile.out = out_.at(context.output(), at.n, at.y, at.x) + panel.firstChannel;
    tile.outRow = out_.row;
    tile.outPixel = out_.pixel;
    const float* residual = context.inputs[3] != nullptr ? context.input(3) : nullptr;
    tile.residual = residual == nullptr ? nullptr : residual_.at(residual, at.n, at.y, at.x) + panel.firstChannel;
    tile.residualRow = residual_.row;
    tile.residualPixel = residual_.pixel;
    tile.vectors = panel.vectors;
    tile.isShort = at.isShort;
    tile.rows = static_cast<int>(std::min<int64_t>(outputs_, geometry_.outH - at.y));
    tile.columns = static_cast<int>(std::min<int64_t>(outputs_, geometry_.outW - at.x));
    tile.low = epilogue.low();
    tile.high = epilogue.high();
    context.kernels.winogradOutput[outputs_](tile);
    if (epilogue.isClamp()) return;
    for (int y = 0; y < tile.rows; y++) {
      for (int x = 0; x < tile.columns; x++) {
        float* pixel = tile.out + y * tile.outRow + x * tile.outPixel;
        context.kernels.activate(epilogue.activation, epilogue.alpha, pixel, pixel,
                                 static_cast<size_t>(panel.vectors * context.kernels.vectorLength));
      }
    }
  }

  Image in_, out_, residual_;
  PackedConv packed_;
  ConvGeometry geometry_;
  int outputs_, side_;
  Tiles tiles_;
  int64_t stretches_ = 1, blocks_ = 1, panelBlocks_ = 1, panelFloats_ = 0;
  ptrdiff_t inputStride_ = 0, weightStride_ = 0, productStride_ = 0;
  std::vector<RunPattern> patterns_;  // of the stretches
};

template <int kOutputs>
Result<std::unique_ptr<Task>> planWinograd(const ConvPlan& plan) {
  const ConvGeometry& geometry = plan.geometry;
  const int64_t depth = kTaps * geometry.channelsPerGroup();
  PackedConv result;
  result.plan = planPanels(plan.context.kernels, geometry.attributes.groups, geometry.outputsPerGroup(), depth);
  Result<const void*> packed = plan.context.packed("winograd", result.plan.sizeBytes(), [&](void* to) {
    const float* weight = plan.weight;
    packPanels(
        plan.context.kernels, result.plan, [=](int64_t o, int64_t k) { return weight[o * depth + k]; }, plan.bias,
        static_cast<float*>(to));
  });
  if (!packed.isOk()) return packed.status();
  result.packed = static_cast<const float*>(packed.value());
  return std::unique_ptr<Task>(new WinogradTask(plan, std::move(result), kOutputs));
}

// Whole vectors of channels go through the transforms: of the output too, unless its last panel ends in the room that
// rounds it up.
bool isWinograd(const ConvGeometry& geometry) {
  const ConvAttributes& a = geometry.attributes;
  const bool isKernel = geometry.K == 3 && geometry.L == 3 && a.stride[0] == 1 && a.stride[1] == 1 &&
                        a.dilation[0] == 1 && a.dilation[1] == 1;
  return isKernel && geometry.C >= kChannelBlock && (a.groups == 1 || geometry.outputsPerGroup() % kChannelBlock == 0);
}

template <int kOutputs>
double winogradCost(const ConvGeometry& geometry, const PlanContext& context) {
  const KernelTable& kernels = context.kernels;
  constexpr int points = (kOutputs + 2) * (kOutputs + 2);
  const Tiles tiles(geometry.N, geometry.outH, geometry.outW, kOutputs);
  const int64_t most = mostBlockTiles(geometry.C, points, kernels.vectorLength);
  const int64_t blocks = std::max<int64_t>((tiles.count() + most - 1) / most, 1);
  double perBlock = 0, transformed = 0;
  for (int point = 0; point < points; point++) {
    const Tiles::Range having = tiles.having(point / (kOutputs + 2), point % (kOutputs + 2), 0, tiles.count());
    // (Maps of one or two rows or columns have no tile with some points.)
    if (having.end == having.begin) continue;
    perBlock += tileRowCost(kernels, (having.end - having.begin + blocks - 1) / blocks, geometry.outputsPerGroup());
    transformed += static_cast<double>(having.end - having.begin);
  }
  perBlock *= static_cast<double>(geometry.C);
  // The transforms: one load, one store and two or three additions for each number of an image; of a kernel, points
  // that leave the first-level cache as they are made, 21 ns for a vector of kernels (F(4×4), 192 → 192 channels; EPYC,
  // Zen 5).
  const double kernelVectors = static_cast<double>(geometry.O * geometry.channelsPerGroup()) / kernels.vectorLength;
  const double moved = transformed * static_cast<double>(4 * geometry.C + 3 * geometry.O) / kernels.vectorLength;
  const double products = static_cast<double>(blocks) * (perBlock + 5 * points * kernelVectors);
  return std::max(products, weightCost(kernels, kTaps * geometry.O * geometry.channelsPerGroup())) + moved;
}

}  // namespace

const ConvAlgorithm kWinograd2Conv = {"winograd2", isWinograd, winogradCost<2>, planWinograd<2>};
const ConvAlgorithm kWinograd4Conv = {"winograd4", isWinograd, winogradCost<4>, planWinograd<4>};

}  // namespace repconv
