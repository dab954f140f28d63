/**
 * The bits of every operator case and of the networks of `models.ts`, on every instruction set of this processor, held
 * against those of an earlier state of the sources, on the same machine with the same compiler:
 *
 *     BITS_OUT=/tmp/before.json npx vitest run test/snapshots/bits      in the earlier state
 *     BITS_IN=/tmp/before.json npx vitest run test/snapshots/bits       in the later one
 *
 * Bits are not written down in the repository: another compiler may round elsewhere.
 */
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import { expect, it } from 'vitest';
import { nativeReading } from '../../lib/engine/eager.js';
import { compileSync, randn, repconv } from '../../lib/index.js';
import { operators } from '../../lib/ops/registry.js';
import { Random } from '../../lib/tensor/random.js';
import { attributesOf, inputsOf } from '../cases/case.js';
import { allCases } from '../cases/operatorCases.js';
import { usableIsas } from '../engine/isas.js';
import { madeModel, models } from './models.js';

const { BITS_IN, BITS_OUT } = process.env;

it.runIf(BITS_IN !== undefined || BITS_OUT !== undefined)(
  'gives the bits of the earlier state',
  () => {
    const now = { ...bitsOfCases(), ...bitsOfModels() };
    if (BITS_OUT !== undefined) fs.writeFileSync(BITS_OUT, JSON.stringify(now, null, 1));
    if (BITS_IN === undefined) return;
    const before = JSON.parse(fs.readFileSync(BITS_IN, 'utf8')) as Record<string, string>;
    // Cases that are new have no earlier state.
    const known = Object.fromEntries(Object.entries(now).filter(([name]) => Object.hasOwn(before, name)));
    expect(known).toEqual(before);
  },
  1_800_000,
);

function bitsOfCases(): Record<string, string> {
  const bits: Record<string, string> = {};
  for (const c of allCases) {
    for (const isa of usableIsas()) {
      const outputs = nativeReading({ threads: 2, isa }).apply(
        operators[c.operator],
        inputsOf(c, 'normal'),
        attributesOf(c),
      );
      bits[`${c.operator} ${c.name} ${isa}`] = outputs.map(({ data }) => digest(data)).join(' ');
    }
  }
  return bits;
}

function bitsOfModels(): Record<string, string> {
  const bits: Record<string, string> = {};
  for (const description of models) {
    const asTrained = madeModel(description);
    const shape = description.inputs.images.map((extent) => (typeof extent === 'number' ? extent : 13));
    const images = randn([2, ...shape.slice(1)], { generator: new Random(3) });
    for (const [form, model] of [
      ['trained', asTrained],
      ['fused', repconv(asTrained).model],
    ] as const) {
      for (const isa of usableIsas()) {
        const session = compileSync(model, { inputs: description.inputs, isa });
        const outputs = session.runSync({ images });
        bits[`${description.name} ${form} ${isa}`] = Object.values(outputs)
          .map(({ data }) => digest(data))
          .join(' ');
        session[Symbol.dispose]();
      }
    }
  }
  return bits;
}

function digest(data: Float32Array): string {
  return createHash('sha256')
    .update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
    .digest('hex')
    .slice(0, 16);
}
