/** How native code knows the activations, whether they are steps of their own or done on another's way to memory. */
import type { GeluAttributes, LeakyReluAttributes, unaryOperators } from '../../ops/pointwise/unary.js';
import type { Activation, Epilogue } from './step.js';

export type UnaryName = keyof typeof unaryOperators;

/** The name of an activation in native code, and its number if it has one. */
export function nativeActivation(name: UnaryName, attributes: object): Activation {
  return others[name]?.(attributes as never) ?? { activation: name };
}

/** The attributes of a step that its epilogue's activation gives it. */
export function activationOf(epilogue: Epilogue | undefined): Activation | Record<never, never> {
  if (epilogue?.activation === undefined) return {};
  const { operator, attributes } = epilogue.activation;
  return nativeActivation(operator.name as UnaryName, attributes);
}

/** Names are the operators', but for those of which native code knows several, or that have a number. */
const others: { readonly [N in UnaryName]?: (attributes: never) => Activation } = {
  gelu: ({ approximate }: GeluAttributes) => ({ activation: approximate === 'tanh' ? 'geluTanh' : 'gelu' }),
  leakyRelu: ({ negativeSlope }: LeakyReluAttributes) => ({ activation: 'leakyRelu', alpha: negativeSlope }),
};
