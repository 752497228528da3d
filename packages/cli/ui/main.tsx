import './style/base.css'
import './style/shell.css'
import './style/parts.css'
import './style/views.css'
import { render } from 'preact'
import { App } from './app.tsx'
import { followLink } from './link.ts'
import { goLive } from './live.ts'

goLive()
followLink()
render(<App />, document.getElementById('board')!)
