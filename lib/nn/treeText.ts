/**
 * The text of a module tree, as PyTorch prints it:
 *
 *     Sequential(
 *       (0): Conv2d(3, 8, kernel_size=(3, 3), stride=(1, 1))
 *       (1-2): 2 x ReLU()
 *     )
 *
 * It is written line by line, from a list of what still waits, so that the depth of a tree is no matter.
 */

/** What the text needs to know of one module of a tree. */
export interface TreeNode<M> {
  /** What stands before the parentheses, and in them. */
  readonly type: string;
  readonly extra: string;
  readonly children: readonly (readonly [name: string, module: M])[];
  /** Whether neighbours among the children that print alike stand once: `(0-3): 4 x …`. */
  readonly isList: boolean;
}

/** The text of `root` and all below it. @param nodeOf what is to be known of a module */
export function treeText<M>(root: M, nodeOf: (module: M) => TreeNode<M>): string {
  const entries = printedEntries(root, nodeOf);
  const lines: string[] = [];
  const waiting: { indent: string; label: string; module?: M }[] = [{ indent: '', label: '', module: root }];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { indent, label, module } = next;
    if (module === undefined) {
      lines.push(indent + label);
      continue;
    }
    const { type, extra, children } = entries.get(module) as PrintedEntry<M>;
    const inner = `${indent}  `;
    if (children.length === 0) {
      lines.push(`${indent}${label}${type}(${indented(extra, indent)})`);
      continue;
    }
    lines.push(`${indent}${label}${type}(`);
    if (extra !== '') lines.push(inner + indented(extra, inner));
    waiting.push({ indent, label: ')' });
    for (const child of [...children].reverse()) waiting.push({ indent: inner, ...child });
  }
  return lines.join('\n');
}

interface PrintedEntry<M> {
  readonly type: string;
  readonly extra: string;
  readonly children: readonly { readonly label: string; readonly module: M }[];
}

/** What is printed of each module, by what it is: a module that occurs often is looked at once. */
function printedEntries<M>(root: M, nodeOf: (module: M) => TreeNode<M>): ReadonlyMap<M, PrintedEntry<M>> {
  const entries = new Map<M, PrintedEntry<M>>();
  /** Equal numbers for equal texts. */
  const texts = new Map<M, number>();
  const numbers = new Map<string, number>();
  // Children before their parents: a module is met first on the way down, then, when all below it is done, again.
  const waiting: { module: M; node?: TreeNode<M> }[] = [{ module: root }];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { module, node } = next;
    if (entries.has(module)) continue;
    if (node === undefined) {
      const found = nodeOf(module);
      waiting.push({ module, node: found });
      for (const [, child] of found.children) waiting.push({ module: child });
      continue;
    }
    const { type, extra } = node;
    const children = node.isList ? neighboursOnce(node.children, texts) : node.children.map(labelled);
    entries.set(module, { type, extra, children });
    const text = JSON.stringify([type, extra, ...children.flatMap((child) => [child.label, texts.get(child.module)])]);
    numbers.set(text, numbers.get(text) ?? numbers.size);
    texts.set(module, numbers.get(text) as number);
  }
  return entries;
}

function labelled<M>([name, module]: readonly [string, M]): { label: string; module: M } {
  return { label: `(${name}): `, module };
}

function neighboursOnce<M>(
  children: TreeNode<M>['children'],
  texts: ReadonlyMap<M, number>,
): { label: string; module: M }[] {
  const runs: { module: M; first: string; last: string; count: number }[] = [];
  for (const [name, module] of children) {
    const run = runs.at(-1);
    if (run !== undefined && texts.get(run.module) === texts.get(module))
      Object.assign(run, { last: name, count: run.count + 1 });
    else runs.push({ module, first: name, last: name, count: 1 });
  }
  return runs.map(({ module, first, last, count }) =>
    count === 1 ? labelled([first, module]) : { label: `(${first}-${last}): ${count} x `, module },
  );
}

/** A text of several lines whose first stands where it stands. */
function indented(text: string, indent: string): string {
  return text.replaceAll('\n', `\n${indent}`);
}
