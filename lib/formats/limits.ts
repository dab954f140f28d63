/** Named limits: every parser has a table of them with defaults, and a caller may change each by name. */
import { RepconvError } from '../errors.js';

/**
 * The limits to work under: the defaults, and above them what the caller gave.
 * @throws ERR_INPUT for a limit nobody knows (a misspelt one would leave the door open) or one that is not a whole
 * number
 */
export function resolvedLimits<L extends object>(defaults: L, given: Partial<L> | undefined, operation: string): L {
  const limits = { ...defaults };
  for (const [name, value] of Object.entries(
    given === undefined ? {} : checkedOptions(given, `${operation}: limits`),
  )) {
    if (!Object.hasOwn(defaults, name))
      throw new RepconvError(
        'ERR_INPUT',
        `${operation}: limits expects ${Object.keys(defaults).join(', ')}, got ${JSON.stringify(name.slice(0, 40))}`,
      );
    if (value === undefined) continue;
    if (!Number.isSafeInteger(value) || (value as number) < 0)
      throw new RepconvError(
        'ERR_INPUT',
        `${operation}: limits.${name} expects a whole number of at least 0, got ${String(value).slice(0, 40)}`,
      );
    limits[name as keyof L] = value as L[keyof L];
  }
  return limits;
}

/** Guard for options that come from JavaScript. @throws ERR_INPUT */
export function checkedOptions<O extends object>(options: O, operation: string): O {
  if (typeof options !== 'object' || options === null)
    throw new RepconvError(
      'ERR_INPUT',
      `${operation}: expects an object of options, got ${options === null ? 'null' : typeof options}`,
    );
  return options;
}
