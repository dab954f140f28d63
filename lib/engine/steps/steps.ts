/** The table of steps: what native code has for each operator. */
import { RepconvError } from '../../errors.js';
import type { Operator } from '../../ops/operator.js';
import type { OperatorName } from '../../ops/registry.js';
import { imageSteps } from './images.js';
import { layerSteps } from './layers.js';
import { pointwiseSteps } from './pointwise.js';
import type { Step } from './step.js';

const steps: { readonly [N in OperatorName]?: Step } = { ...pointwiseSteps, ...layerSteps, ...imageSteps };

/** The operator's row. @throws ERR_UNSUPPORTED for one that native code does not have */
export function stepOf({ name }: Operator): Step {
  const step: Step | undefined = steps[name as OperatorName];
  if (step === undefined) throw new RepconvError('ERR_UNSUPPORTED', `${name}: has no native implementation`);
  return step;
}
