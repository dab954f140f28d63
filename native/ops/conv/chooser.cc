// Which algorithm computes a convolution: a list, each entry saying whether it fits and what it would cost. The last
// always fits.
#include <algorithm>

#include "ops/conv/conv.h"

namespace repconv {
namespace {

const ConvAlgorithm* const kAlgorithms[] = {&kDepthwiseConv, &kPointwiseConv,  &kWinograd4Conv, &kWinograd2Conv,
                                            &kBfloat16Conv,  &kBfloat16x3Conv, &kIm2colConv,    &kDirectConv};

}  // namespace

Status checkConvName(const std::string& name) {
  std::string known;
  for (const ConvAlgorithm* algorithm : kAlgorithms) {
    if (name == algorithm->name) return Status();
    known += (known.empty() ? "" : ", ") + std::string(algorithm->name);
  }
  return failure(Code::input, "session: conv expects one of %s, got %.40s", known.c_str(), name.c_str());
}

ConvChoice chooseConv(const ConvGeometry& geometry, const PlanContext& context) {
  ConvChoice best;
  double bestCost = 0;
  for (const ConvAlgorithm* algorithm : kAlgorithms) {
    // What is more exact than was asked for may still be faster.
    if (algorithm->precision != Precision::float32 &&
        (algorithm->precision != context.precision || context.bfloat16 == nullptr))
      continue;
    if (!algorithm->fits(geometry)) continue;
    if (context.forcedConv == algorithm->name) return {algorithm, {}, true};
    const double cost = algorithm->cost(geometry, context);
    best.estimates.push_back({algorithm->name, cost});
    // The first of equals: the more special one stands first.
    if (best.algorithm == nullptr || cost < bestCost) {
      best.algorithm = algorithm;
      bestCost = cost;
    }
  }
  return best;
}

double tileRowCost(const KernelTable& kernels, int64_t pixels, int64_t channels) {
  const int64_t vectors = (channels + kernels.vectorLength - 1) / kernels.vectorLength;
  const int64_t panelVectors = std::min<int64_t>(vectors, kMaxPanelVectors);
  const int64_t most = kernels.tilePixels[panelVectors];
  const int64_t tiles = (pixels + most - 1) / most;
  // Two multiply-adds a cycle, four cycles each: fewer than eight sums at a time leave the unit waiting. Loading a
  // weight costs half one.
  const double perTile = std::max(static_cast<double>(panelVectors * pixels) / static_cast<double>(tiles), 8.0) +
                         0.5 * static_cast<double>(panelVectors);
  return perTile * static_cast<double>(tiles) * static_cast<double>(vectors) / static_cast<double>(panelVectors);
}

double weightCost(const KernelTable& kernels, int64_t weights) {
  // A vector of weights takes as long as twelve multiply-adds: 20 GB/s beside 117 GFLOP/s (EPYC, Zen 4, one core), 29
  // beside 242 (Xeon, Sapphire Rapids).
  return 12.0 * static_cast<double>(weights) / kernels.vectorLength;
}

}  // namespace repconv
