/** What has weights: convolutions, linear layers, batch norms. */
import { RepconvError } from '../../errors.js';
import { overImages, overPlain } from './layouts.js';
import { isImage, type Step } from './step.js';

export const layerSteps = {
  conv2d: {
    emit(writer, application) {
      const { paddingMode, ...attributes } = application.attributes as { paddingMode: string };
      if (paddingMode !== 'zeros')
        throw new RepconvError('ERR_NATIVE', `conv2d: ${paddingMode} padding is a pad before the convolution`);
      overImages('conv2d')(writer, { ...application, attributes });
    },
    takesResidual: () => true,
    takesActivation: () => true,
  },
  convTranspose2d: { emit: overImages('convTranspose2d'), takesActivation: () => true },
  linear: { emit: overPlain('linear'), takesActivation: () => true },
  batchNorm: {
    emit(writer, application) {
      const [input] = application.inputs;
      const isWanted = writer.isNhwc(input) || application.epilogue !== undefined;
      const isOverImages = input != null && isImage(input.type) && isWanted;
      (isOverImages ? overImages('batchNorm') : overPlain('batchNorm'))(writer, application);
    },
    takesResidual: ({ output }) => isImage(output),
    takesActivation: ({ output }) => isImage(output),
  },
  batchNormTraining: { emit: overPlain('batchNormTraining') },
} satisfies Record<string, Step>;
