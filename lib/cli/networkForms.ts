/** A published network with seeded weights as it was written, and with its branches merged: what benches measure. */

import { repconv } from '../fusing/repconv.js';
import type { ArchitectureName } from '../nn/models/architecture.js';
import type { Module } from '../nn/module.js';
import { CommandFailure } from './failure.js';
import { type Progress, pause } from './progress.js';
import { seededNetwork } from './seededNetwork.js';

export interface NetworkForms {
  readonly network: ArchitectureName;
  readonly resolution: number;
  readonly seed: number;
  readonly written: Module;
  readonly merged: Module;
  readonly blocksFused: number;
}

/** @throws CommandFailure when a block cannot be fused */
export async function networkForms(
  network: ArchitectureName,
  { resolution, seed }: { readonly resolution: number; readonly seed: number },
  progress: Progress,
): Promise<NetworkForms> {
  progress.stage('seeded weights, statistics from data');
  await pause();
  const written = seededNetwork(network, resolution, seed);
  progress.stage('fusing');
  await pause();
  // Whoever measures compares the outputs of the whole network: a small budget for the certificates of its blocks.
  const { model: merged, report } = repconv(written, { certificateBudget: 1e6 });
  if (report.left > 0)
    throw new CommandFailure(
      `${network}: ${report.left} blocks were not fused: ${report.blocks.find(({ reason }) => reason)?.reason}`,
    );
  return { network, resolution, seed, written, merged, blocksFused: report.fused };
}
