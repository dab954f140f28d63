/** Where a measurement was made: what a reader needs to judge it, or to make it again. */
import { readFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { debugSettings, isas } from '../debug.js';
import { nativeAddon } from '../engine/addon.js';
import { chosenThreads } from '../engine/threads.js';

export interface Environment {
  readonly version: string;
  readonly node: string;
  readonly platform: string;
  readonly processor: string;
  /** The most the kernels use here. */
  readonly isa: string;
  readonly threads: number;
  /** Processes that wanted to run during the last minute. */
  readonly load: number;
}

/** @param threads the most that a run takes @throws ERR_INPUT where an environment variable says what cannot be */
export function environment(threads = chosenThreads().threads): Environment {
  const settings = debugSettings();
  const processor = nativeAddon().info();
  const isCapped = settings.isa !== '' && isas.indexOf(settings.isa) < isas.indexOf(processor.isa);
  return {
    version: packageVersion(),
    node: process.versions.node,
    platform: `${process.platform}-${process.arch}`,
    processor: processor.model || 'unknown processor',
    isa: isCapped ? settings.isa : processor.isa,
    threads,
    load: Number(loadavg()[0].toFixed(2)),
  };
}

/** `repconv 0.1.0 · Node 20.20.2 · linux-x64 · AMD EPYC · avx512 · 2 threads` */
export function environmentLine({ version, node, platform, processor, isa, threads }: Environment): string {
  return [`repconv ${version}`, `Node ${node}`, platform, processor, isa, counted(threads, 'thread')].join(' · ');
}

/** `1 thread`, `2 threads` */
export function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}

/** The version of this package. */
export function packageVersion(): string {
  return (JSON.parse(readFileSync(join(__dirname, '../../package.json'), 'utf8')) as { version: string }).version;
}
