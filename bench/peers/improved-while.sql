SELECT knob, direction, goal, SUM(t.outcome = 'improved') AS improved,
  SUM(t.outcome <> 'unknown'), AVG(t.delta)
FROM experiment JOIN trial t ON id = t.experiment
WHERE held > 0.01
  --campaign: AND t.campaign = :campaign
GROUP BY knob, direction, goal
HAVING improved > 0
ORDER BY 4 DESC, 1, 2, 3
LIMIT 50
