/**
 * The code that users read: in README, in the guides and in docstrings.
 *
 * In a page, a fence of `js` or `ts` is a program, and those under one heading are one program, in their order. One
 * that begins with `// name.mjs` is a file of that name beside it. What a program prints stands behind its
 * `console.log` lines, or in a fence without a language. In a docstring each fence of `ts` is a program by itself.
 */

export interface Program {
  /** Page and line, as editors take them. */
  readonly place: string;
  readonly code: string;
  /** Whether it has types in it. */
  readonly isTyped: boolean;
  /** Empty where the text does not say. */
  readonly prints: readonly string[];
  /** Files beside it, by name. */
  readonly files: ReadonlyMap<string, string>;
}

interface Fence {
  readonly language: string;
  readonly code: string;
  readonly line: number;
  /** Number of headings before it. */
  readonly section: number;
}

/** The programs of a Markdown page. */
export function programsOfPage(page: string, text: string): Program[] {
  const fences = fencesOf(text);
  const sections = [...new Set(fences.map(({ section }) => section))];
  return sections
    .map((number) =>
      programOf(
        page,
        fences.filter(({ section }) => section === number),
      ),
    )
    .filter(({ code }) => code !== '');
}

/** The examples in the docstrings of a TypeScript file. */
export function programsOfSource(file: string, text: string): Program[] {
  // Other lines become empty ones, so that lines keep their numbers.
  const comments = text.replaceAll(/^(?! +\*).*$/gm, '').replaceAll(/^ +\* ?/gm, '');
  return fencesOf(comments)
    .filter(({ language }) => language === 'ts')
    .map((fence) => programOf(file, [fence]));
}

/** Languages of a page's fences, for the test that nothing is left out. */
export function languagesOf(text: string): string[] {
  return fencesOf(text).map(({ language }) => language);
}

function fencesOf(text: string): Fence[] {
  const headingsBefore = (index: number): number => text.slice(0, index).match(/^#+ /gm)?.length ?? 0;
  return [...text.matchAll(/^```(\w*)\n(.*?)^```$/gms)].map(({ 1: language, 2: code, index }) => ({
    language,
    code,
    line: text.slice(0, index).split('\n').length + 1,
    section: headingsBefore(index),
  }));
}

function programOf(page: string, fences: readonly Fence[]): Program {
  const files = new Map<string, string>();
  const parts: Fence[] = [];
  const prints: string[] = [];
  for (const fence of fences) {
    const name = /^\/\/ (\S+\.[cm]?[jt]s)\n/.exec(fence.code)?.[1];
    const isProgram = fence.language === 'js' || fence.language === 'ts';
    if (isProgram && name !== undefined) files.set(name, fence.code);
    else if (isProgram) {
      parts.push(fence);
      prints.push(...[...fence.code.matchAll(/^ *console\.log\(.*\); \/\/ (.*)$/gm)].map(([, line]) => line));
    } else if (fence.language === '' && parts.length > 0) prints.push(...fence.code.trimEnd().split('\n'));
  }
  return {
    place: `${page}:${parts[0]?.line ?? fences[0].line}`,
    code: parts.map(({ code }) => code).join('\n'),
    isTyped: parts.some(({ language }) => language === 'ts'),
    prints,
    files,
  };
}
