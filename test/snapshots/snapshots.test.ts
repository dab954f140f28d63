/**
 * What the library makes of the networks and blocks of `models.ts`, as text: the recorded graph, the program that goes
 * to native code, what was chosen for each step, the report of fusing, the exported file. A change of the house's
 * structure leaves all of it alone; a change that is meant shows its difference in its commit
 * (`npx vitest run test/snapshots -u`).
 */
import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { type NativeAddon, type NativeOptions, nativeAddon } from '../../lib/engine/addon.js';
import type { Program } from '../../lib/engine/program.js';
import {
  compileSync,
  type InputSpec,
  type Module,
  printGraph,
  type Report,
  repconv,
  toOnnx,
  trace,
} from '../../lib/index.js';
import { madeModel, models } from './models.js';

describe('what is written down of', () => {
  for (const model of models) {
    it(`${model.name} stays`, async () => {
      const asTrained = madeModel(model);
      const { model: fused, report } = repconv(asTrained);
      const text = [
        section('as trained', writtenDown(asTrained, model.inputs)),
        section('report', reportText(report)),
        section('fused', writtenDown(fused, model.inputs)),
      ].join('\n');
      await expect(text).toMatchFileSnapshot(`text/${model.name}.txt`);
    });
  }
});

function writtenDown(model: Module, inputs: InputSpec): string {
  const shortened = printGraph(trace(model, inputs));
  const { program, steps } = compiled(model, inputs);
  return [
    section('graph', shortened),
    section('program', programText(program)),
    section('steps', steps),
    section('onnx', `${digest(toOnnx(model, { inputs }))}`),
  ].join('\n');
}

/** The program that native code is given, and what it chooses with the kernels that any processor has. */
function compiled(model: Module, inputs: InputSpec): { program: Program; steps: string } {
  const addon = nativeAddon() as { Session: NativeAddon['Session'] };
  const { Session } = addon;
  const programs: Program[] = [];
  addon.Session = class {
    constructor(program: Program, options: NativeOptions) {
      programs.push(program);
      // biome-ignore lint/correctness/noConstructorReturn: the session is native code's own
      return new Session(program, options);
    }
  } as NativeAddon['Session'];
  const session = compileSync(model, { inputs, isa: 'scalar', threads: 1 });
  addon.Session = Session;
  const described = inputs.images.every((extent, axis) => axis === 0 || typeof extent === 'number')
    ? session.describe()
    : [];
  session[Symbol.dispose]();
  const steps = described.map(({ operation, algorithm, label, macs }) => `${operation} ${algorithm} ${label} ${macs}`);
  return { program: programs[0], steps: steps.join('\n') };
}

function programText({ values, steps, inputs, outputs }: Program): string {
  const valueLines = values.map(({ dtype, layout, shape, data, isPrivate }, i) =>
    data === undefined
      ? `${i} ${dtype} ${layout}`
      : `${i} ${dtype} ${layout} [${shape?.join(',')}] ${digest(data)}${isPrivate ? ' private' : ''}`,
  );
  const stepLines = steps.map(
    ({ operation, label, inputs: from, outputs: to, attributes }) =>
      `${operation} ${label}(${from.join(',')}) → ${to.join(',')} ${JSON.stringify(attributes)}`,
  );
  return [...valueLines, ...stepLines, `inputs ${inputs.join(',')} outputs ${outputs.join(',')}`].join('\n');
}

function reportText({ blocks, fused, left }: Report): string {
  const lines = blocks.map(({ path, type, status, reason, branches, into, parameters, certificate }) =>
    [
      `${path || '(the model)'} ${type} ${status}${reason === undefined ? '' : ` ${reason}`}: ${branches} → ${into},`,
      `${parameters?.before} → ${parameters?.after} parameters,`,
      certificate === undefined
        ? 'no certificate'
        : `map ${certificate.map.join('×')}, ${certificate.positions} × ${certificate.samplesPerPosition} samples, ` +
          `${certificate.complete ? 'complete' : 'mixed'}, ${certificate.relative.toExponential(6)}`,
    ].join(' '),
  );
  return [...lines, `${fused} fused, ${left} left`].join('\n');
}

function section(title: string, text: string): string {
  return `── ${title}\n${text}`;
}

function digest(data: ArrayBufferView): string {
  return createHash('sha256')
    .update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
    .digest('hex')
    .slice(0, 16);
}
