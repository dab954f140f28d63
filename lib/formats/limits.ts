/** Named limits: every parser has a table of them with defaults, and a caller may change each by name. */
import { wholeNumber } from '../checks.js';
import { optionsOf } from '../options.js';

/**
 * The limits to work under: the defaults, and above them what the caller gave.
 * @throws ERR_INPUT for a limit nobody knows (a misspelt one would leave the door open) or one that is not a whole
 * number
 */
export function resolvedLimits<N extends string>(
  defaults: Readonly<Record<N, number>>,
  given: Partial<Record<N, number>> | undefined,
  operation: string,
): Record<N, number> {
  const limits = optionsOf<Partial<Record<string, number>>, Record<string, number>>(
    given,
    defaults,
    operation,
    'limits',
  );
  for (const [name, value] of Object.entries(limits)) wholeNumber(value, `${operation}: limits.${name}`, 0);
  return limits as Record<N, number>;
}
