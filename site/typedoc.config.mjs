// The site of `npm run docs`: README, guides, and the reference from the docstrings. A warning is an error.
import { guides, order, project } from './headings.mjs';

export default {
  name: 'repconv',
  entryPoints: ['../lib/index.ts'],
  alwaysCreateEntryPointModule: false,
  tsconfig: '../tsconfig.json',
  basePath: '..',
  out: 'public',
  readme: '../README.md',
  projectDocuments: [...guides, ...project].map((page) => `../${page}`),
  plugin: ['./headings.mjs'],

  treatWarningsAsErrors: true,
  validation: { invalidLink: true, notExported: false },

  categoryOrder: order,
  kindSortOrder: ['Document', 'Function', 'Class', 'Interface', 'TypeAlias', 'Variable'],
  sort: ['kind', 'alphabetical-ignoring-documents'],
  navigation: { includeCategories: true, includeFolders: false },
  // What every module has is shown on the page of `Module`, and on the others by a tick.
  visibilityFilters: { protected: true, inherited: false },
  excludeInternal: true,
  excludePrivate: true,
  highlightLanguages: ['js', 'ts', 'sh', 'python'],
  disableSources: true,
  hideGenerator: true,
};
