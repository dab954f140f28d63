/**
 * A published network with seeded weights, for measuring without a download.
 *
 * Fresh batch norms (mean 0, variance 1) are no test of folding, so these have random scales and shifts, and statistics
 * collected from data.
 */
import { BatchNorm2d } from '../nn/layers/batchNorm2d.js';
import { type ArchitectureName, architecture } from '../nn/models/architecture.js';
import type { Module } from '../nn/module.js';
import { manualSeed, Random, randn } from '../tensor/random.js';

/** @param resolution height and width of the images that statistics are collected from */
export function seededNetwork(name: ArchitectureName, resolution: number, seed: number): Module {
  manualSeed(seed);
  const model = architecture(name, 'bench').create();
  const generator = new Random(seed);
  const norms = [...model.namedModules()].map(([, module]) => module).filter((module) => module instanceof BatchNorm2d);
  for (const norm of norms) {
    // Scales from 0.5 to 1.5, shifts from 0 to 1. With shifts around 0, half of every ReLU's inputs are cut off and
    // batch norm stretches the rest again: an untrained network then enlarges any difference, rounding included, by 1.2
    // in each layer (Yang et al. 2019, arXiv:1902.08129), and float32 keeps 5 digits of MobileOne's output. Networks
    // that learned something are not like that; with these shifts it keeps 6 (measured).
    for (let c = 0; c < norm.numFeatures; c++) {
      (norm.weight as { data: Float32Array } | null)?.data.fill(0.5 + generator.uniform(), c, c + 1);
      (norm.bias as { data: Float32Array } | null)?.data.fill(generator.uniform(), c, c + 1);
    }
    // Averages over all batches seen: with one batch, its own statistics.
    norm.momentum = null;
  }
  // The last maps have (resolution / 32)² pixels; a hundred values for each channel make a variance.
  const images = Math.max(2, Math.ceil(100 / Math.max(1, Math.floor(resolution / 32)) ** 2));
  model.train().forward(randn([images, 3, resolution, resolution], { generator }));
  return model.eval();
}
