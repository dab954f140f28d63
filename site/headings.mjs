// Puts the site in order: the reference under the headings of lib/index.ts, pages under their own first line.
import { readFileSync } from 'node:fs';
import { Comment, CommentTag, Converter } from 'typedoc';

/** Pages for users, and for those who work on the project. */
export const guides = ['docs/*.md'];
export const project = [
  'CONTRIBUTING.md',
  'CHANGELOG.md',
  '{lib,native,bench,examples/digits}/README.md',
  'bench/RESULTS.md',
];

/** Public names with the comment that they stand under. */
const headings = new Map();
const index = readFileSync(new URL('../lib/index.ts', import.meta.url), 'utf8');
for (const section of index.split(/^\/\/ (?=\w[^\n.]*$)/m).slice(1)) {
  const heading = section.slice(0, section.indexOf('\n'));
  for (const [, names] of section.matchAll(/^export (?:type )?\{([^}]*)\}/gm))
    for (const name of names.match(/\b(?!type\b)\w+/g)) headings.set(name, heading);
}

export const order = ['Guides', ...new Set(headings.values()), 'The project'];

export function load(app) {
  app.converter.on(Converter.EVENT_RESOLVE_BEGIN, (context) => {
    const { readme, children = [], documents = [] } = context.project;
    // The site's own title stands above it.
    readme[0].text = readme[0].text.replace(titleLine, '');
    for (const child of children) setCategory(child, headings.get(child.name));
    for (const page of documents) {
      setCategory(page, page.name.startsWith('docs/') ? 'Guides' : 'The project');
      page.name = titleLine.exec(page.content[0].text)[1].replaceAll('`', '');
    }
  });
}

function setCategory(reflection, text) {
  reflection.comment ??= new Comment();
  reflection.comment.blockTags.push(new CommentTag('@category', [{ kind: 'text', text }]));
}

const titleLine = /^\s*# (.*)\n/;
