import './style/base.css'
import './style/shell.css'
import './style/parts.css'
import './style/views.css'
import { render } from 'preact'
import { App } from './app.tsx'
import { goLive } from './live.ts'

goLive()
render(<App />, document.getElementById('board')!)
