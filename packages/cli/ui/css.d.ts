/** Vite puts style sheets that modules import into the page. */
declare module '*.css'
