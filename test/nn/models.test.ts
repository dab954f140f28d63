/** The published networks: numbers of parameters and of multiply-accumulates, in both forms. */
import { describe, expect, it } from 'vitest';
import { macsOf } from '../../lib/graph/graph.js';
import { createMobileOne, createRepVGG, type Module, mobileOneConfigs, repvggConfigs, trace } from '../../lib/index.js';
import { refusalOf } from '../formats/refusal.js';
import { goldenCounts } from './golden.js';

/**
 * Millions of parameters, then multiply-accumulates in millions at 224×224: in training form and deployed.
 * As the authors' implementations count them; the papers (arXiv:2101.03697, arXiv:2206.04040) print those of the
 * deployed form, rounded.
 */
const published: Record<string, [number, number, number, number]> = {
  'repvgg-a0': [9.109, 8.309, 1513, 1361],
  'repvgg-a1': [14.092, 12.79, 2626, 2364],
  'repvgg-a2': [28.211, 25.5, 5685, 5117],
  'repvgg-b0': [15.818, 14.339, 3397, 3058],
  'repvgg-b1': [57.415, 51.829, 13128, 11815],
  'repvgg-b1g2': [45.782, 41.36, 9788, 8810],
  'repvgg-b1g4': [39.966, 36.125, 8119, 7307],
  'repvgg-b2': [89.022, 80.315, 20418, 18377],
  'repvgg-b2g2': [70.846, 63.957, 15200, 13680],
  'repvgg-b2g4': [61.758, 55.778, 12591, 11332],
  'repvgg-b3': [123.085, 110.961, 29121, 26209],
  'repvgg-b3g2': [96.912, 87.405, 21606, 19446],
  'repvgg-b3g4': [83.825, 75.627, 17849, 16064],
  'repvgg-d2se': [133.335, 120.388, 36477, 32830],
  'mobileone-s0': [5.293, 2.079, 1051.9, 275.1],
  'mobileone-s1': [4.825, 4.765, 830.1, 825.1],
  'mobileone-s2': [7.885, 7.808, 1304, 1298.4],
  'mobileone-s3': [10.171, 10.078, 1902.1, 1895.8],
  'mobileone-s4': [14.951, 14.838, 2986.8, 2979.3],
};

const create = (name: string, deploy: boolean): Module =>
  name in repvggConfigs
    ? createRepVGG(name as keyof typeof repvggConfigs, { deploy })
    : createMobileOne(name as keyof typeof mobileOneConfigs, { deploy });

it('knows every network that was published, and no other', () => {
  expect([...Object.keys(repvggConfigs), ...Object.keys(mobileOneConfigs)]).toEqual(Object.keys(published));
});

describe.each(Object.entries(published))(
  '%s',
  (name, [trainingMillions, deployedMillions, trainingMacs, deployedMacs]) => {
    it('has the published number of parameters in both forms, to the last one as in PyTorch', () => {
      const counts = [create(name, false), create(name, true)].map((model) => model.parameterCount());
      expect(counts).toEqual(goldenCounts()[name]);
      expect(counts.map((count) => Math.round(count / 1e3) / 1e3)).toEqual([trainingMillions, deployedMillions]);
    });

    it('has the published number of multiply-accumulates in both forms', () => {
      const millions = [create(name, false), create(name, true)].map((model) => {
        const { nodes } = trace(model.eval(), { images: [1, 3, 224, 224] });
        return nodes.reduce((sum, node) => sum + macsOf(node), 0) / 1e6;
      });
      const digits = name.startsWith('mobileone') ? 1 : 0;
      expect(millions.map((count) => Number(count.toFixed(digits)))).toEqual([trainingMacs, deployedMacs]);
    });
  },
);

it('refuses a name that is none, also one that every object has', () => {
  for (const name of ['repvgg-a9', 'constructor']) {
    expect(refusalOf(() => createRepVGG(name as 'repvgg-a0'))).toMatchObject({ code: 'ERR_INPUT' });
    expect(refusalOf(() => createMobileOne(name as 'mobileone-s0')).message).toContain('expects one of mobileone-s0');
  }
});
