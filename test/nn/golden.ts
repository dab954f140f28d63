/** What PyTorch computed, called and printed: the files of `test/golden/nn`, written by the `make.py` beside them. */
import { readFileSync } from 'node:fs';
import { parseSafetensors } from '../../lib/formats/safetensors.js';
import type { StateDict } from '../../lib/formats/stateDict.js';
import {
  BatchNorm2d,
  ConvBlock,
  ConvTranspose2d,
  convBn,
  MobileOne,
  MobileOneBlock,
  RepVGG,
  RepVGGBlock,
} from '../../lib/index.js';
import { SqueezeExcite } from '../../lib/nn/blocks/squeezeExcite.js';
import type { Module } from '../../lib/nn/module.js';
import type { AnyTensor, Tensor } from '../../lib/tensor/tensor.js';

const folder = new URL('../golden/nn/', import.meta.url);

export interface ModuleCase {
  readonly name: string;
  readonly module: keyof typeof constructors;
  /** As a user writes them. */
  readonly args: readonly unknown[];
  readonly options: object;
  /** In PyTorch's order, in training form and deployed. */
  readonly keys: readonly string[];
  readonly deployedKeys: readonly string[];
  readonly parameters: number;
  readonly deployedParameters: number;
  /** Relative distance of PyTorch's float32 from its float64 in training: the largest of results and statistics. */
  readonly float32InTraining: number;
}

/** All cases, or those of some modules. */
export function moduleCases(...modules: ModuleCase['module'][]): ModuleCase[] {
  const rows: ModuleCase[] = JSON.parse(text('cases.json'));
  return modules.length === 0 ? rows : rows.filter(({ module }) => modules.includes(module));
}

/** Name and case, as `it.each` takes them. */
export function namedCases(...modules: ModuleCase['module'][]): [string, ModuleCase][] {
  return moduleCases(...modules).map((c) => [c.name, c]);
}

/** A new module of a case; its numbers are those of a fresh one. */
export function built({ module, args, options }: ModuleCase, more: { deploy?: boolean } = {}): Module {
  return constructors[module](args as never, { ...options, ...more } as never);
}

/** A module with the numbers PyTorch used, in evaluation mode. */
export function loaded(c: ModuleCase): Module {
  const module = built(c).eval();
  module.loadStateDict(stateOf(c));
  return module;
}

/** Parameters and buffers, float32. */
export function stateOf(c: ModuleCase): StateDict {
  return belongingTo(c, 'state/');
}

/** Buffers after two batches of training, float64. */
export function buffersAfter(c: ModuleCase): StateDict {
  return belongingTo(c, 'after/');
}

/** One tensor of a case. */
export function goldenTensor(c: ModuleCase, role: string): AnyTensor {
  const found = tensors().get(`${c.name}/${role}`);
  if (found === undefined) throw new Error(`golden nn: no tensor ${c.name}/${role}`);
  return found;
}

/** An input of a case, float32. */
export function inputOf(c: ModuleCase, batch: 0 | 1 = 0): Tensor {
  return goldenTensor(c, `input${batch}`) as Tensor;
}

/** What PyTorch printed, without the last line's end. */
export function goldenPrint(name: string): string {
  return text(`prints/${name}.txt`).replace(/\n$/, '');
}

/** Parameters of the published networks: training form, deployed. */
export function goldenCounts(): Record<string, [number, number]> {
  return JSON.parse(text('counts.json'));
}

const constructors = {
  convBn: ([ci, co, k]: [number, number, number], options: object) => convBn(ci, co, k, options),
  ConvBlock: ([ci, co]: [number, number], options: object) => new ConvBlock(ci, co, options),
  RepVGGBlock: ([ci, co]: [number, number], options: object) => new RepVGGBlock(ci, co, options),
  MobileOneBlock: ([ci, co, k]: [number, number, number], options: object) => new MobileOneBlock(ci, co, k, options),
  SqueezeExcite: ([c]: [number], options: { reducedChannels: number }) => new SqueezeExcite(c, options),
  ConvTranspose2d: ([ci, co, k]: [number, number, number], options: object) => new ConvTranspose2d(ci, co, k, options),
  BatchNorm2d: ([c]: [number], options: object) => new BatchNorm2d(c, options),
  RepVGG: ([config]: [never], options: object) => new RepVGG(config, options),
  MobileOne: ([config]: [never], options: object) => new MobileOne(config, options),
};

let parsed: ReadonlyMap<string, AnyTensor> | undefined;

function tensors(): ReadonlyMap<string, AnyTensor> {
  parsed ??= parseSafetensors(readFileSync(new URL('tensors.safetensors', folder))).tensors;
  return parsed;
}

function belongingTo(c: ModuleCase, kind: string): StateDict {
  const prefix = `${c.name}/${kind}`;
  return new Map(
    [...tensors()].filter(([key]) => key.startsWith(prefix)).map(([key, tensor]) => [key.slice(prefix.length), tensor]),
  );
}

function text(path: string): string {
  return readFileSync(new URL(path, folder), 'utf8');
}
