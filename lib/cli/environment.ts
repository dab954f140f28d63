/** Where a measurement was made: what a reader needs to judge it, or to make it again. */
import { readFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { debugSettings } from '../debug.js';
import { callNative } from '../engine/addon.js';

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

const isas = ['scalar', 'avx2', 'avx512'];

/** @param threads those asked for; 0 for the default */
export function environment(threads: number): Environment {
  const settings = debugSettings();
  const processor = callNative((addon) => addon.info());
  const isCapped = settings.isa !== '' && isas.indexOf(settings.isa) < isas.indexOf(processor.isa);
  return {
    version: packageVersion(),
    node: process.versions.node,
    platform: `${process.platform}-${process.arch}`,
    processor: processor.model,
    isa: isCapped ? settings.isa : processor.isa,
    threads: threads || settings.threads || processor.threads,
    load: Number(loadavg()[0].toFixed(2)),
  };
}

/** `repconv 0.1.0 · Node 20.20.2 · linux-x64 · AMD EPYC · avx512 · 2 threads` */
export function environmentLine({ version, node, platform, processor, isa, threads }: Environment): string {
  return [`repconv ${version}`, `Node ${node}`, platform, processor, isa, `${threads} thread${threads === 1 ? '' : 's'}`].join(' · ');
}

/** Of this package. */
export function packageVersion(): string {
  return (JSON.parse(readFileSync(join(__dirname, '../../package.json'), 'utf8')) as { version: string }).version;
}
