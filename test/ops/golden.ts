/** What PyTorch answered: the files of `test/golden/ops`, written by the `make.py` beside them. */
import { readFileSync } from 'node:fs';
import { parseSafetensors } from '../../lib/formats/safetensors.js';
import type { OperatorName } from '../../lib/ops/registry.js';
import type { AnyTensor } from '../../lib/tensor/tensor.js';

const folder = new URL('../golden/ops/', import.meta.url);

/** Families of operators that have a file of their own. */
export const goldenFamilies = [
  'conv2d',
  'convTranspose2d',
  'linear',
  'batchNorm',
  'activation',
  'broadcast',
  'pooling',
  'movement',
] as const;

export interface GoldenCase {
  readonly name: string;
  readonly operator: OperatorName;
  readonly options: object;
  /** In the operator's order, mostly float32; null where an optional input is absent. */
  readonly inputs: readonly (AnyTensor | null)[];
  /** float64; may be fewer than the operator has. */
  readonly outputs: readonly AnyTensor[];
  /** PyTorch's float32 answer, where there is one. */
  readonly output32: AnyTensor | undefined;
}

/** All cases of a family. */
export function goldenCases(family: (typeof goldenFamilies)[number]): GoldenCase[] {
  const tensors = goldenTensors(family);
  const found = (row: CaseRow, role: string): AnyTensor => {
    const tensor = tensors.get(`${row.name}/${role}`);
    if (tensor === undefined) throw new Error(`golden ${family}: no tensor ${row.name}/${role}`);
    return tensor;
  };
  return caseTable()[family].map((row) => ({
    name: row.name,
    operator: row.operator,
    options: withInfinity(row.options),
    inputs: row.inputs.map((role) => (role === null ? null : found(row, role))),
    outputs: row.outputs.map((role) => found(row, role)),
    output32: tensors.get(`${row.name}/output32`),
  }));
}

/** The tensors of a file, by name. */
export function goldenTensors(family: string): ReadonlyMap<string, AnyTensor> {
  return parseSafetensors(readFileSync(new URL(`${family}.safetensors`, folder))).tensors;
}

interface CaseRow {
  readonly name: string;
  readonly operator: OperatorName;
  readonly inputs: readonly (string | null)[];
  readonly outputs: readonly string[];
  readonly options: object;
}

function caseTable(): Record<string, CaseRow[]> {
  return JSON.parse(readFileSync(new URL('cases.json', folder), 'utf8'));
}

/** JSON has no infinity; the table writes it as text. */
function withInfinity(options: object): object {
  return Object.fromEntries(
    Object.entries(options).map(([key, value]) => [key, value === '-Infinity' ? -Infinity : value]),
  );
}
